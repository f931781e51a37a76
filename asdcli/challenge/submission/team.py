"""A team's names: the labels of its systems, and its authors."""

from __future__ import annotations

import re
from dataclasses import dataclass

from asdcli.challenge.editions.edition import load_common
from asdcli.errors import UserError

LABEL_FORM = "<LastName>_<Inst>_task2_<1-4>, for example Example_UNI_task2_1"
AUTHOR_FORM = "First Last <mail@example.org>, Institution[, Department], Location"


def parse_label(label: str) -> tuple[str, int]:
    """`("Example_UNI", 1)` of `Example_UNI_task2_1`; UserError for any other form."""
    if not re.fullmatch(load_common()["submission"]["label_pattern"], label, re.ASCII):
        raise UserError(f"'{label}' is not a submission label.", f"A label has the form {LABEL_FORM}.")
    team, index = label.rsplit("_task2_", 1)
    return team, int(index)


def is_label(text: str) -> bool:
    try:
        parse_label(text)
    except UserError:
        return False
    return True


def system_labels(first: str, count: int) -> list[str]:
    """Labels of `count` systems, numbered on from the index of the first label; at most index 4."""
    team, index = parse_label(first)
    last = load_common()["submission"]["max_systems"]
    if index + count - 1 > last:
        raise UserError(
            f"{count} systems beginning with '{first}' go past index {last}.",
            f"The challenge accepts at most {last} systems of a team; begin with {team}_task2_1.",
        )
    return [f"{team}_task2_{index + i}" for i in range(count)]


@dataclass(frozen=True)
class Author:
    lastname: str
    firstname: str
    institution: str
    location: str
    email: str | None = None
    department: str | None = None


def parse_author(text: str) -> Author:
    """An author from one line: `First Last <mail>, Institution[, Department], Location`.

    The last word of the name is the last name. With semicolons instead of commas the parts may hold commas
    themselves, and the name may be written `Last, First`:
    `van Example, Erin <erin@example.org>; Example University; Sampletown, Nowhere`.
    The mail address may be left out for all authors but the corresponding (first) one.
    """
    head, *rest = [part.strip() for part in text.split(";" if ";" in text else ",")]
    match = re.fullmatch(r"(?P<name>[^<>@]+?)\s*(?:<(?P<email>[^<>@\s]+@[^<>@\s]+)>)?", head)
    if match is None or len(rest) not in (2, 3) or not all(rest) or len(match["name"].split()) < 2:
        raise UserError(
            f"Author '{text}' does not fit the form '{AUTHOR_FORM}'.",
            "Where a part holds a comma itself, separate the parts by semicolons.",
        )
    if "," in match["name"]:
        lastname, firstname = (part.strip() for part in match["name"].split(",", 1))
    else:
        firstname, lastname = match["name"].rsplit(maxsplit=1)
    department = rest[1] if len(rest) == 3 else None
    return Author(lastname, firstname, rest[0], rest[-1], match["email"], department)
