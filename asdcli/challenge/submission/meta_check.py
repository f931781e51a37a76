"""What is wrong, or odd, with a loaded `<label>.meta.yaml`, one line each."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from asdcli.challenge.editions.edition import Edition, edition_names, load_edition
from asdcli.challenge.submission.meta import AUTHORS, LISTS, RESULTS, Field, meta_fields
from asdcli.challenge.submission.package import and_more
from asdcli.errors import did_you_mean

TYPE_NAMES = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "a mapping"}


def check_meta(meta: Any, edition: Edition, label: str) -> list[str]:
    """What is wrong with a loaded meta file, one line each; empty when nothing is. `label` is the folder's name."""
    if not isinstance(meta, Mapping):
        return ["the file holds no mapping of fields"]
    problems = list(_check_fields(meta, meta_fields(edition), ""))
    for path in LISTS:
        problems += _check_entries(_get(meta, path), meta_fields(edition, path), path)
    own = _get(meta, "submission.label")
    if isinstance(own, str) and own != label:
        problems.append(f"submission.label is '{own}', but the folder is named '{label}'")
    problems += _check_corresponding(_get(meta, AUTHORS))
    problems += _check_results(_get(meta, RESULTS), edition)
    return problems


def meta_warnings(meta: Any, edition: Edition) -> list[str]:
    """What is odd but allowed in a loaded meta file, one line each: unknown and empty fields, fractions for percent."""
    if not isinstance(meta, Mapping):
        return []
    fields = meta_fields(edition)
    lines = list(_unknown_fields(meta, fields, ""))
    for path in LISTS:
        for entry in _mappings(_get(meta, path)):
            lines += _unknown_fields(entry, meta_fields(edition, path), f"{path}: ")
    empty = [f.path for f in fields if f.advised and _get(meta, f.path, "") is None]
    if empty:
        lines.append(f"empty, though the template asks for a value: {', '.join(empty)}")
    values = [v for row in _mappings(_get(meta, RESULTS)) for v in row.values() if _is_number(v)]
    if len(values) > 1 and max(values) <= 1:
        lines.append(f"{RESULTS}: the values look like fractions; they are given in percent")
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
                yield f"{prefix}{path} should be {TYPE_NAMES[wanted]}, but is {_type_name(level)}"
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
    found: dict[str, list[int]] = {}
    for number, entry in enumerate(entries, 1):
        told = _check_fields(entry, fields, ": ") if isinstance(entry, Mapping) else [_no_mapping(entry)]
        for text in told:
            found.setdefault(text, []).append(number)
    for text, numbers in found.items():
        yield f"{path}, entr{'y' if len(numbers) == 1 else 'ies'} {', '.join(map(str, numbers))}{text}"


def _no_mapping(value: Any) -> str:
    return f" should be a mapping, but is {_type_name(value)}"


def _check_corresponding(authors: Any) -> Iterator[str]:
    if not isinstance(authors, list):
        return
    corresponding = [author for author in _mappings(authors) if author.get("corresponding") is True]
    if len(corresponding) != 1:
        yield f"{AUTHORS}: exactly one author is 'corresponding: true', here {len(corresponding) or 'none'}"
    for author in corresponding:
        if "@" not in str(author.get("email")):
            yield f"{AUTHORS}: the corresponding author has no email address"


def _check_results(results: Any, edition: Edition) -> Iterator[str]:
    """Machine types and keys that the edition does not know, and values that are no percentages; each kind once."""
    if not isinstance(results, Mapping):
        return
    machines = edition.machines.get("dev", ())
    strange: dict[str, list[str]] = {}
    unknown: list[str] = []
    wrong: list[str] = []
    for machine, row in results.items():
        where = f"{RESULTS}.{machine}"
        if machines and machine not in machines:
            unknown.append(f"{where}: unknown machine type.{did_you_mean(str(machine), machines)}")
        if row is None:
            continue
        if not isinstance(row, Mapping):
            wrong.append(where + _no_mapping(row))
            continue
        for key, value in row.items():
            if key not in edition.result_keys:
                strange.setdefault(str(key), []).append(str(machine))
            elif value is not None and not (_is_number(value) and 0 <= value <= 100):
                shown = value if _is_number(value) else _type_name(value)
                wrong.append(f"{where}.{key} should be a percentage from 0 to 100, but is {shown}")
    if unknown:
        yield unknown[0] + and_more(len(unknown), "such machine type")
    if wrong:
        yield wrong[0] + and_more(len(wrong), "such value")
    for key, where_found in strange.items():
        count = f" and {len(where_found) - 1} more" if len(where_found) > 1 else ""
        yield f"{RESULTS}.{where_found[0]}{count}: {_strange_key(key, edition)}"


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
    return TYPE_NAMES.get(type(value), f"a {type(value).__name__}")
