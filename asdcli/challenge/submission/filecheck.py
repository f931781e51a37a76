"""What a score or decision file of a submission holds: rows, values, clips. Each kind of defect is told in one line."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from asdcli.challenge.csvfile import CsvError, numbered_rows, to_number
from asdcli.challenge.editions.counts import clip_count
from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import Kind, Unit
from asdcli.challenge.submission.package import and_more

Defect = tuple[str, str]
"""The kind of a defect, the same in all files that have it, and one line about it in this file."""


@dataclass(frozen=True)
class Table:
    """A score or decision file: clip names, values by line number, and what is wrong with its rows, one line a kind."""

    names: tuple[str, ...] = ()
    values: Mapping[int, float] = field(default_factory=dict)
    problems: tuple[Defect, ...] = ()


def read_table(data: bytes) -> Table:
    """Read a CSV leniently: everything that can be read is, so that one defect does not hide the others."""
    try:
        text = data.decode("utf-8").rstrip()
        rows = list(numbered_rows(text, strict=False))
    except UnicodeDecodeError:
        return Table(problems=(("text", "is no text file in UTF-8"),))
    except CsvError as error:
        return Table(problems=(("csv", f"is no CSV file: {error}"),))
    if not text:
        return Table(problems=(("empty", "is empty"),))
    names: list[str] = []
    values: dict[int, float] = {}
    wrong: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for line, row in rows:
        kind, shown = _wrong_row(row, first=line == 1)
        if kind:
            wrong[kind].append((line, shown))
        else:
            values[line] = to_number(row[1])
        if row and kind != "header":
            names.append(row[0].removeprefix("\ufeff"))
    problems = tuple((kind, _told(found)) for kind, found in wrong.items())
    return Table(tuple(names), values, problems)


def _wrong_row(row: list[str], first: bool) -> tuple[str, str]:
    """The kind of defect of a row and its words; two empty strings for a good row."""
    if not row:
        return "blank", "is blank"
    if row[0].startswith("\ufeff"):
        return "mark", "begins with a byte order mark, which becomes part of the clip name; save as plain UTF-8"
    if len(row) != 2:
        return "columns", f"has {len(row)} {'columns' if len(row) > 1 else 'column'} instead of 2"
    try:
        value = to_number(row[1])
    except ValueError:
        if first and not row[0].lower().endswith(".wav"):
            return "header", f"'{short(','.join(row))}' is a header line, which these files do not have"
        return "number", f"'{short(row[1])}' is not a number"
    return ("", "") if math.isfinite(value) else ("finite", f"the value is {value}, not a finite number")


def check_values(values: Mapping[int, float], kind: Kind) -> Iterator[Defect]:
    """Decisions other than 0 and 1; scores that are all the same. `values` by line number."""
    if kind == "decision":
        wrong = [
            (line, f"the decision is {value:g}, not 0 or 1") for line, value in values.items() if value not in (0, 1)
        ]
        if wrong:
            yield "decision", _told(wrong)
    elif len(values) > 1 and len(set(values.values())) == 1:
        constant = f"all {len(values)} scores are {next(iter(values.values())):g}; constant scores tell nothing"
        yield "constant", constant


def check_clips(
    names: Collection[str], unit: Unit, edition: Edition, expected: Collection[str] | None
) -> Iterator[Defect]:
    """Clips twice, missing, extra or not of this unit; without expected names, those the edition's rules can tell."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        yield "twice", f"clip '{short(twice[0])}' stands more than once{and_more(len(twice), 'such clip')}"
    given = set(names)
    if expected is None:
        yield from _check_clips_by_rule(given, unit, edition)
        return
    missing, extra = sorted(set(expected) - given), sorted(given - set(expected))
    if given and len(extra) == len(given):
        known = min(expected, default="")
        yield "all unknown", f"no clip name is a known one: '{short(extra[0])}' instead of a name such as '{known}'"
        return
    if missing:
        yield "missing", f"clip '{missing[0]}' is missing{and_more(len(missing), 'such clip')}"
    if extra:
        more = and_more(len(extra), "such clip")
        yield "unknown", f"clip '{short(extra[0])}' is not an evaluation clip of {unit}{more}"


def _check_clips_by_rule(given: set[str], unit: Unit, edition: Edition) -> Iterator[Defect]:
    strange = [] if edition.own else sorted(name for name in given if not _may_be(name, unit, edition))
    if strange:
        yield "strange", f"'{short(strange[0])}' is not a clip name of {unit}{and_more(len(strange), 'such clip')}"
    count = clip_count(edition, "eval", unit)
    if count is not None and len(given) - len(strange) != count and len(given) != count:
        yield "number", f"{len(given)} clips, where {edition.name} has {count} of {unit}"


def _may_be(name: str, unit: Unit, edition: Edition) -> bool:
    """Whether the edition's evaluation clips of that section (and domain) may have this name."""
    for pattern in edition.names["eval_test"]:
        if match := pattern.fullmatch(name):
            found = match.groupdict()
            return found["section"] == unit.section and found.get("domain", unit.domain) == unit.domain
    return False


def _told(found: list[tuple[int, str]]) -> str:
    line, text = found[0]
    return f"line {line}: {text}{and_more(len(found), 'such line')}"


def short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
