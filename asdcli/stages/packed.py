"""Score folders below a path that a user names: the folder itself, the systems of a package below it, or a zip."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from asdcli.challenge.editions.scorefiles import VALUE_FILE
from asdcli.errors import UserError, WorkError
from asdcli.workspace.places import SETS

DEPTH = 4  # folders below the one that is named: task2/<label>/ below one or two around it


def systems_below(path: Path) -> list[tuple[Path, Path]]:
    """The folders of score files that a path means, and the path by which users know each.

    A folder without such files stands for those below it. A zip is unpacked to a temporary folder, which goes when asd
    ends. Raises UserError for a zip that cannot be unpacked.
    """
    if path.is_file() and path.suffix.lower() == ".zip":
        top = unpacked(path, _is_value_file)
        return [(folder, path / folder.relative_to(top)) for folder in _below(top, DEPTH)] or [(path, path)]
    found = _below(path, DEPTH) if path.is_dir() else []
    return [(folder, folder) for folder in found or [path]]


def _below(folder: Path, depth: int) -> list[Path]:
    try:
        inside = sorted(each for each in folder.iterdir() if not each.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise UserError(f"Cannot read the folder {folder}: {error.strerror}.") from error
    if any(VALUE_FILE.fullmatch(each.name) for each in inside) or any((folder / name).is_dir() for name in SETS):
        return [folder]
    return [found for each in inside if each.is_dir() for found in _below(each, depth - 1)] if depth else []


def _is_value_file(path: tuple[str, ...]) -> tuple[str, ...] | None:
    return path if VALUE_FILE.fullmatch(path[-1]) else None


def unpacked(archive: Path, wanted: Callable[[tuple[str, ...]], tuple[str, ...] | None]) -> Path:
    """A temporary folder with some files of a zip, which goes when asd ends. wanted: the place of a file by its path,
    None for one to leave out. Raises UserError for a zip that cannot be unpacked.
    """
    from asdcli.download.archives import unpack

    folder = Path(tempfile.mkdtemp(prefix="asd-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        unpack(archive, folder, wanted)
    except WorkError as error:
        raise UserError(f"{archive}: {error}") from error
    return folder
