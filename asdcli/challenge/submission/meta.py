"""The `<label>.meta.yaml` of a submitted system: its fields, filled in and written.

Fields and order follow the templates of the challenge editions 2020-2025 (2023 and 2026 are taken to equal 2024, no
template of theirs was seen). A field that does not apply is null (`!!null` in the templates).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import yaml

from asdcli.challenge.editions.edition import Edition, load_common
from asdcli.challenge.submission.team import Author
from asdcli.errors import unknown


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
AUTHORS = "submission.authors"
RESULTS = "results.development_dataset"
_TYPES = {"str": str, "int": int, "bool": bool, "list": list, "map": dict}
# Lists of mappings: their entries are checked with the fields below the list's path.
LISTS = (AUTHORS, "system.external_datasets")
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
    return tuple(f for f in fields if not f.path.startswith(tuple(path + "." for path in LISTS)))


def build_meta(
    edition: Edition,
    label: str,
    *,
    name: str,
    abbreviation: str,
    authors: Sequence[Author],
    description: Mapping[str, str | int | None] | None = None,
    total_parameters: int | None = None,
    macs: int | None = None,
    external_datasets: Sequence[tuple[str, str]] = (),
    source_code: str | None = None,
    results: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, Any]:
    """A complete meta mapping: every field of the edition in its template's order, null where nothing is given.

    The first author is the corresponding one. `description` holds fields of `system.description` by their short
    names; one that only other editions know is left out. `macs` are multiply-accumulates. `external_datasets` are
    (name, url) pairs. `results` are the results on the development set in percent, by machine type and result key.
    """
    values: dict[str, Any] = {
        "submission.label": label,
        "submission.name": name,
        "submission.abbreviation": abbreviation,
        AUTHORS: [_author_entry(author, i == 0) for i, author in enumerate(authors)],
        "system.complexity.total_parameters": None if total_parameters is None else int(total_parameters),
        "system.complexity.MACS": macs,
        "system.external_datasets": [{"name": n, "url": url} for n, url in external_datasets] or None,
        "system.source_code": source_code,
        RESULTS: _result_entries(edition, results or {}),
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
