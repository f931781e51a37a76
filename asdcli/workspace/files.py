"""Files that nobody meets half written."""

from __future__ import annotations

import contextlib
import json
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LEFT_BEHIND_S = 24 * 3600  # a temporary file that nobody has touched for so long is of a process that was killed


def mark_of(path: str | Path) -> list[int]:
    """What tells without reading it that a file is the one it was: size, times of change in ns (of its content, and of
    all that is known of it), inode. Of a file that is not there -1 throughout.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return [-1] * 4
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def crc_of(path: Path) -> int:
    """CRC-32 of a file."""
    found = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found = zlib.crc32(block, found)
    return found


def left_behind(folder: Path) -> list[Path]:
    """Files of a folder that a process is writing, or was when it was killed."""
    return list(folder.glob(".*.tmp"))


def sweep(folder: Path) -> None:
    """Remove what killed processes left of any file in a folder; the caller holds the folder's lock."""
    for left in left_behind(folder):
        with contextlib.suppress(OSError):
            left.unlink()


def read_json(path: Path) -> Any:
    """What a JSON file holds; None for one that is not there, or is no JSON."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def flush(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk itself: a power cut after a rename must not leave it empty."""
    with contextlib.suppress(PermissionError):  # of folders, where the system does not open them
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def flush_below(folder: Path) -> None:
    """Have all files below a folder, and their names, on the disk itself: quickly so after all have been written."""
    for place, _, files in os.walk(folder):
        for name in files:
            flush(Path(place, name))
        flush(Path(place))


def rename(source: Path, target: Path) -> None:
    """Move what is on the disk already to another place there, which outlives a power cut."""
    os.replace(source, target)
    flush(target.parent)
    if source.parent != target.parent:
        flush(source.parent)


_BLOCK = 1 << 20


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to. At the end its file takes the place of `path`; after an error nothing does.

    A reader, or a kill, meets the old file or the new one and nothing between.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        flush(temporary)
        rename(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    _sweep(path)


def write_atomic(path: Path, data: bytes) -> None:
    """Write a whole file in one step, with the folders above it."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _sweep(path: Path) -> None:
    """Remove what killed processes left of earlier attempts at the same file."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        with contextlib.suppress(OSError):  # another process may be as tidy
            if time.time() - left.stat().st_mtime > LEFT_BEHIND_S:
                left.unlink()
