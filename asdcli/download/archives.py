"""Zips unpacked without trust: no path outside, no links, no more bytes than the zip lists and can honestly hold."""

from __future__ import annotations

import errno
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from asdcli.errors import WorkError
from asdcli.workspace.checksums import BLOCK

LARGEST_RATIO = 100  # unpacked to packed; recordings reach 2, tables of text 20
MOST_FILES = 100_000

_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError)

Place = Callable[[tuple[str, ...]], tuple[str, ...] | None]
"""From the path of a file in the zip to its path below the folder; None leaves it out."""


class DamagedError(WorkError):
    """The zip is cut or corrupt."""


class UnsafeError(WorkError):
    """The zip holds what no honest zip holds."""


@dataclass(frozen=True)
class Unpacked:
    """entries: top-level names below the folder. left_out: files that had no place."""

    entries: tuple[str, ...]
    files: int
    size: int
    left_out: tuple[str, ...]


def below(name: str) -> Place:
    """Keeps what lies in a folder `name`, wherever in the zip that is, without the path up to it."""
    return lambda path: path[path.index(name) + 1 :] if name in path[:-1] else None


def unpack(archive: Path, folder: Path, place: Place, say: Callable[[int], None] = lambda done: None) -> Unpacked:
    """Unpack into `folder`, which is made. Raises DamagedError, UnsafeError, or WorkError for want of room.

    say: called with the bytes unpacked so far. What was unpacked before an error stays for the caller to remove.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members, left_out = _plan(archive, opened.infolist(), place)
            size = sum(info.file_size for info in members.values())
            _check_sizes(archive, folder, size)
            done = 0
            for path, info in members.items():
                done += _unpack_one(opened, info, folder.joinpath(*path))
                say(done)
    except _DAMAGED as error:  # a name that is not in the encoding it claims is a ValueError
        raise DamagedError(f"{archive.name} cannot be unpacked: {error}.") from None
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise DamagedError(f"{archive.name} cannot be unpacked: its listing points outside of it.") from None
    return Unpacked(tuple(sorted({path[0] for path in members})), len(members), size, left_out)


def _plan(
    archive: Path, listing: list[zipfile.ZipInfo], place: Place
) -> tuple[dict[tuple[str, ...], zipfile.ZipInfo], tuple[str, ...]]:
    """Files by their path below the folder, and names of those without a place. Every name of the zip is looked at."""
    if len(listing) > MOST_FILES:
        raise UnsafeError(f"{archive.name} lists {len(listing)} files.")
    members: dict[tuple[str, ...], zipfile.ZipInfo] = {}
    left_out = []
    for info in listing:
        path = _safe_path(archive, info)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DamagedError(f"{archive.name} cannot be unpacked: unknown compression {info.compress_type}.")
        target = None if info.is_dir() or _litter(path) else place(path)
        if target is None:
            left_out += [] if info.is_dir() or _litter(path) else [info.filename]
        elif target in members:
            raise UnsafeError(f"{archive.name} lists {info.filename} twice.")
        else:
            members[target] = info
    return members, tuple(left_out)


def _safe_path(archive: Path, info: zipfile.ZipInfo) -> tuple[str, ...]:
    """The parts of a member's path. Raises UnsafeError for one that could lead outside, and for links and devices."""
    name = getattr(info, "orig_filename", info.filename)
    parts = tuple(name.removesuffix("/").split("/"))
    if any(part in ("", ".", "..") for part in parts) or any(char in name for char in "\\:\0"):
        raise UnsafeError(f"{archive.name} holds a path that leads outside: {name!r}.")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UnsafeError(f"{archive.name} holds a link or device: {name!r}.")
    return parts


def _litter(path: tuple[str, ...]) -> bool:
    """What file managers leave in zips."""
    return path[0] == "__MACOSX" or path[-1] in (".DS_Store", "Thumbs.db", "desktop.ini")


def _check_sizes(archive: Path, folder: Path, size: int) -> None:
    packed = archive.stat().st_size
    if size > LARGEST_RATIO * packed:
        raise UnsafeError(f"{archive.name} has {packed} bytes and claims to hold {size}.")
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if size > free:
        raise WorkError(f"{archive.name} unpacks to {size / 1e9:.2f} GB, but {folder} has {free / 1e9:.2f} GB free.")


def _unpack_one(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> int:
    """Write one file. The reader stops at the listed size and compares the checksum (CRC-32) there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(info) as source, target.open("xb") as file:
        shutil.copyfileobj(source, file, BLOCK)
    return info.file_size
