"""The `<label>.meta.yaml` of a submitted system: its label, its authors, its fields, written and checked.

Fields and order follow the templates of the challenge editions 2020-2025 (2023 and 2026 are taken to equal 2024, no
template of theirs was seen). A field that does not apply is null (`!!null` in the templates).
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import yaml

from asdcli.challenge.editions import Edition, edition_names, load_common, load_edition
from asdcli.errors import UserError, did_you_mean, unknown

LABEL_FORM = "<LastName>_<Inst>_task2_<1-4>, for example Example_UNI_task2_1"
AUTHOR_FORM = "First Last <mail@example.org>, Institution[, Department], Location"


# --- labels and authors ---------------------------------------------------------------------------------------------


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


# --- the fields -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """One field by its dotted path.

    null: the field may be null. advised: it may be null too, but the templates ask for a value. optional: it may be
    left out altogether.
    """

    path: str
    type: type
    null: bool
    advised: bool
    optional: bool
    since: int
    max_length: int | None


_DESCRIPTION = "system.description."
_AUTHORS = "submission.authors"
_RESULTS = "results.development_dataset"
_TYPES = {"str": str, "int": int, "bool": bool, "list": list, "map": dict}
_TYPE_NAMES = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "a mapping"}
# Lists of mappings: their entries are checked with the fields below the list's path.
_LISTS = (_AUTHORS, "system.external_datasets")
# Absent in the template of 2021, and in each edition only of use to some systems.
_MAY_BE_ABSENT = ("system.external_datasets",)


@cache
def _all_fields() -> tuple[Field, ...]:
    return tuple(_field(**given) for given in load_common()["meta"])


def _field(
    path: str, type: str, required: bool | None = None, since: int = 2020, max_length: int | None = None, **_: str
) -> Field:
    """A field as `common.yaml` describes it (`meaning` and `examples` are for readers)."""
    optional = required is False or path in _MAY_BE_ABSENT
    advised = required is None and not type.endswith("?") and path.startswith("system.") and not optional
    null = type.endswith("?") or advised or optional
    return Field(path, _TYPES[type.removesuffix("?")], null, advised, optional, since, max_length)


def meta_fields(edition: Edition, below: str = "") -> tuple[Field, ...]:
    """The fields of an edition in template order; data without a year has those of the newest edition.

    With `below`, one of the lists of mappings, the fields of its entries under their short paths.
    """
    fields = [f for f in _all_fields() if f.since <= (edition.year or 9999)]
    if below:
        inner = [f for f in fields if f.path.startswith(below + ".")]
        return tuple(replace(f, path=f.path.removeprefix(below + ".")) for f in inner)
    return tuple(f for f in fields if not f.path.startswith(tuple(path + "." for path in _LISTS)))


# --- building and writing -------------------------------------------------------------------------------------------


def build_meta(
    edition: Edition,
    label: str,
    *,
    name: str,
    abbreviation: str,
    authors: Sequence[Author],
    description: Mapping[str, str | int | None] | None = None,
    total_parameters: int | None = None,
    external_datasets: Sequence[tuple[str, str]] = (),
    source_code: str | None = None,
    results: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, Any]:
    """A complete meta mapping: every field of the edition in its template's order, null where nothing is given.

    The first author is the corresponding one. `description` holds fields of `system.description` by their short
    names; one that only other editions know is left out. `external_datasets` are (name, url) pairs. `results` are the
    results on the development set in percent, by machine type and result key.
    """
    values: dict[str, Any] = {
        "submission.label": label,
        "submission.name": name,
        "submission.abbreviation": abbreviation,
        _AUTHORS: [_author_entry(author, i == 0) for i, author in enumerate(authors)],
        "system.complexity.total_parameters": None if total_parameters is None else int(total_parameters),
        "system.external_datasets": [{"name": n, "url": url} for n, url in external_datasets] or None,
        "system.source_code": source_code,
        _RESULTS: _result_entries(edition, results or {}),
    }
    known = {f.path.removeprefix(_DESCRIPTION) for f in _all_fields() if f.path.startswith(_DESCRIPTION)}
    for key, value in (description or {}).items():
        if key not in known:
            raise unknown("description field", key, sorted(known))
        values[_DESCRIPTION + key] = value
    meta: dict[str, Any] = {}
    for f in meta_fields(edition):
        _put(meta, f.path, values.get(f.path))
    return meta


def _author_entry(author: Author, corresponding: bool) -> dict[str, Any]:
    affiliation = {"institution": author.institution, "department": author.department, "location": author.location}
    entry: dict[str, Any] = {"lastname": author.lastname, "firstname": author.firstname, "email": author.email}
    return entry | ({"corresponding": True} if corresponding else {}) | {"affiliation": affiliation}


def _result_entries(edition: Edition, results: Mapping[str, Mapping[str, float]]) -> dict[str, Any] | None:
    """Machine types and keys in the order of the edition; null for a key without a result."""
    order = [m for m in edition.machines.get("dev", ()) if m in results] or list(results)
    order += [m for m in results if m not in order]
    entries: dict[str, Any] = {}
    for machine in order:
        keys = [*edition.result_keys, *(k for k in results[machine] if k not in edition.result_keys)]
        given = {k: results[machine].get(k) for k in keys}
        entries[machine] = {k: None if v is None else round(float(v), 4) for k, v in given.items()}
    return entries or None


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for key in parents:
        tree = tree.setdefault(key, {})
    tree[last] = value


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, as the official template does."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def dump_meta(meta: Mapping[str, Any]) -> str:
    """The mapping as YAML text: fields in their order, one blank line between the top-level parts."""
    parts = (
        yaml.dump({key: value}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
        for key, value in meta.items()
    )
    return "\n".join(parts)


# --- checking -------------------------------------------------------------------------------------------------------


def check_meta(meta: Any, edition: Edition, label: str) -> list[str]:
    """What is wrong with a loaded meta file, one line each; empty when nothing is. `label` is the folder's name."""
    if not isinstance(meta, Mapping):
        return ["the file holds no mapping of fields"]
    problems = list(_check_fields(meta, meta_fields(edition), ""))
    for path in _LISTS:
        problems += _check_entries(_get(meta, path), meta_fields(edition, path), path)
    own = _get(meta, "submission.label")
    if isinstance(own, str) and own != label:
        problems.append(f"submission.label is '{own}', but the folder is named '{label}'")
    problems += _check_corresponding(_get(meta, _AUTHORS))
    problems += _check_results(_get(meta, _RESULTS), edition)
    return problems


def meta_warnings(meta: Any, edition: Edition) -> list[str]:
    """What is odd but allowed in a loaded meta file, one line each: unknown and empty fields, fractions for percent."""
    if not isinstance(meta, Mapping):
        return []
    fields = meta_fields(edition)
    lines = list(_unknown_fields(meta, fields, ""))
    for path in _LISTS:
        for entry in _mappings(_get(meta, path)):
            lines += _unknown_fields(entry, meta_fields(edition, path), f"{path}: ")
    empty = [f.path for f in fields if f.advised and _get(meta, f.path, "") is None]
    if empty:
        lines.append(f"empty, though the template asks for a value: {', '.join(empty)}")
    values = [v for row in _mappings(_get(meta, _RESULTS)) for v in row.values() if _is_number(v)]
    if len(values) > 1 and max(values) <= 1:
        lines.append(f"{_RESULTS}: the values look like fractions; they are given in percent")
    return lines


def _check_fields(tree: Mapping[Any, Any], fields: Sequence[Field], prefix: str) -> Iterator[str]:
    """Missing fields and wrong types. A parent that is missing or no mapping is told once, not per child."""
    told: set[str] = set()
    for f in fields:
        level: Any = tree
        parts = f.path.split(".")
        for depth, key in enumerate(parts, 1):
            path, leaf = ".".join(parts[:depth]), depth == len(parts)
            if path in told:
                break
            if key not in level:
                if not f.optional:
                    told.add(path)
                    instead = _stands_instead(key, level, _children(fields, parts[: depth - 1]))
                    yield f"{prefix}{path} is missing{instead}"
                break
            level = level[key]
            wanted: type = f.type if leaf else dict
            if level is None and leaf and f.null:
                break
            if not _is_a(level, wanted):
                told.add(path)
                yield f"{prefix}{path} should be {_TYPE_NAMES[wanted]}, but is {_type_name(level)}"
                break
            if leaf and f.max_length and len(level) > f.max_length:
                yield f"{prefix}{path} '{level[:40]}' has {len(level)} characters; at most {f.max_length} are allowed"


def _stands_instead(key: str, level: Mapping[Any, Any], known: set[str]) -> str:
    strange = [k for k in level if isinstance(k, str) and k not in known]
    close = difflib.get_close_matches(key, strange, n=1, cutoff=0.7)
    return f"; '{close[0]}' stands in its place" if close else ""


def _unknown_fields(tree: Mapping[Any, Any], fields: Sequence[Field], prefix: str) -> Iterator[str]:
    """Fields that the edition does not know, but for those told as standing in the place of a missing one."""
    required = [f for f in fields if not f.optional]
    for parents in sorted({tuple(f.path.split(".")[:-1]) for f in fields} | {()}, key=len):
        level = _get(tree, ".".join(parents)) if parents else tree
        if not isinstance(level, Mapping):
            continue
        known = _children(fields, list(parents))
        missing = _children(required, list(parents)) - set(level)
        for key in level:
            if key in known or difflib.get_close_matches(str(key), missing, n=1, cutoff=0.7):
                continue
            yield f"{prefix}unknown field '{'.'.join([*parents, str(key)])}'.{did_you_mean(str(key), known)}"


def _children(fields: Sequence[Field], parents: list[str]) -> set[str]:
    """Keys that may stand right below `parents`."""
    paths = (f.path.split(".") for f in fields)
    return {path[len(parents)] for path in paths if path[: len(parents)] == parents and len(path) > len(parents)}


def _check_entries(entries: Any, fields: Sequence[Field], path: str) -> Iterator[str]:
    if not isinstance(entries, list):
        return  # a wrong type is told with the other fields
    for number, entry in enumerate(entries, 1):
        if isinstance(entry, Mapping):
            yield from _check_fields(entry, fields, f"{path}, entry {number}: ")
        else:
            yield f"{path}, entry {number} should be a mapping, but is {_type_name(entry)}"


def _check_corresponding(authors: Any) -> Iterator[str]:
    if not isinstance(authors, list):
        return
    corresponding = [author for author in _mappings(authors) if author.get("corresponding") is True]
    if len(corresponding) != 1:
        yield f"{_AUTHORS}: exactly one author is 'corresponding: true', here {len(corresponding) or 'none'}"
    for author in corresponding:
        if "@" not in str(author.get("email")):
            yield f"{_AUTHORS}: the corresponding author has no email address"


def _check_results(results: Any, edition: Edition) -> Iterator[str]:
    """Machine types and keys that the edition does not know (once per key), and values that are no percentages."""
    if not isinstance(results, Mapping):
        return
    machines = edition.machines.get("dev", ())
    strange: dict[str, list[str]] = {}
    for machine, row in results.items():
        where = f"{_RESULTS}.{machine}"
        if machines and machine not in machines:
            yield f"{where}: unknown machine type.{did_you_mean(str(machine), machines)}"
        if row is None:
            continue
        if not isinstance(row, Mapping):
            yield f"{where} should be a mapping, but is {_type_name(row)}"
            continue
        for key, value in row.items():
            if key not in edition.result_keys:
                strange.setdefault(str(key), []).append(str(machine))
            elif value is not None and not (_is_number(value) and 0 <= value <= 100):
                shown = value if _is_number(value) else _type_name(value)
                yield f"{where}.{key} should be a percentage from 0 to 100, but is {shown}"
    for key, where_found in strange.items():
        count = f" and {len(where_found) - 1} more" if len(where_found) > 1 else ""
        yield f"{_RESULTS}.{where_found[0]}{count}: {_strange_key(key, edition)}"


def _strange_key(key: str, edition: Edition) -> str:
    others = [name for name in edition_names() if key in load_edition(name).result_keys]
    if others:
        return f"'{key}' is a result key of {', '.join(others)}; {edition.name} has {', '.join(edition.result_keys)}"
    return f"unknown result key '{key}'.{did_you_mean(key, edition.result_keys)}"


def _get(tree: Any, path: str, missing: Any = None) -> Any:
    for key in path.split("."):
        if not isinstance(tree, Mapping) or key not in tree:
            return missing
        tree = tree[key]
    return tree


def _mappings(value: Any) -> list[Mapping[Any, Any]]:
    """The mappings among the entries of a list or a mapping; nothing for anything else."""
    entries = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [entry for entry in entries if isinstance(entry, Mapping)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_a(value: Any, wanted: type) -> bool:
    if isinstance(value, bool):
        return wanted is bool
    if wanted is int and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, wanted)


def _type_name(value: Any) -> str:
    """A value's type in the user's words; the value itself only where it is short and plain."""
    if value is None:
        return "empty"
    if isinstance(value, float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text '{value[:40]}'"
    return _TYPE_NAMES.get(type(value), f"a {type(value).__name__}")
