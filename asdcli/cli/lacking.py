"""In words: what an official score wants and is not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asdcli.errors import few

_SAID = {
    "missing": ("score file", "is missing", "are missing"),
    "undecided": ("decision file", "is missing", "are missing"),
    "unlabelled": ("score file", "has no ground truth", "have no ground truth"),
}


def lacking(units: Mapping[str, Sequence[str]], left_out: Sequence[str] = ()) -> str:
    """units: names of units by what they lack; left_out: machine types that nobody asked for."""
    parts = []
    for kind, names in units.items():
        file, one, many = _SAID[kind]
        if names:
            parts.append(
                f"{len(names)} {file}{'s' if len(names) > 1 else ''} {one if len(names) == 1 else many} ({few(names)})"
            )
    if left_out:
        parts.append(f"{', '.join(left_out)} {'were' if len(left_out) > 1 else 'was'} left out")
    return ", and ".join(parts)
