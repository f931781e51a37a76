"""Which sound files are meant by paths, folders and patterns."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from asdcli.challenge.editions.clipnames import SOUND
from asdcli.errors import UserError, shown


def sound_files(places: Iterable[str | Path]) -> list[Path]:
    """Files as they are given, all sound files in and below folders, and what patterns such as `day_*/*.wav` match.

    In their order, those of a folder or pattern sorted, none twice. Raises UserError for a place where there is none.
    """
    found: dict[Path, None] = {}
    for place in places:
        here = _at(str(place))
        if not here:
            raise UserError(f"There is no sound file at {shown(place)}.", f"Sound files end in {', '.join(SOUND)}.")
        found |= dict.fromkeys(here)
    return list(found)


def _at(place: str) -> list[Path]:
    if Path(place).exists():
        return _in(Path(place))
    return [file for match in sorted(glob.glob(place, recursive=True)) for file in _in(Path(match))]


def _in(path: Path) -> list[Path]:
    """A file, or the sound files in and below a folder."""
    if not path.is_dir():
        return [path]
    return sorted(each for each in path.rglob("*") if each.suffix.lower() in SOUND and each.is_file())
