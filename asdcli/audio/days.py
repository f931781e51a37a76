"""On which day a clip was recorded: what its attributes or its name tell."""

from __future__ import annotations

import re

import numpy as np

from asdcli.audio.clips import ClipTable

ATTRIBUTES = ("day", "date")
_DATE = re.compile(r"(?<!\d)(20\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d{3})")  # a time may follow


def days_of(clips: ClipTable) -> np.ndarray | None:
    """The day of each clip `[clips]`, of str; None unless all of them tell theirs.

    An attribute called day or date counts, or a date such as 2026-11-03 or 20261103 in the path.
    """
    days = [_day(path, known) for path, known in zip(clips.path.tolist(), clips.attributes.tolist(), strict=True)]
    return np.array(days) if days and all(days) else None


def _day(path: str, attributes: dict[str, str]) -> str:
    for name in ATTRIBUTES:
        if name in attributes:
            return attributes[name]
    found = _DATE.findall(path)
    return "-".join((found[-1][0], *found[-1][2:])) if found else ""
