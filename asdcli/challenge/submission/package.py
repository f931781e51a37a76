"""The files of a submission package, read from a zip or a folder whoever made it; nothing is ever unpacked to disk."""

from __future__ import annotations

import os
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from asdcli.errors import UserError

MAX_FILES = 4000  # the largest edition, with four systems, has some 350
MAX_BYTES = 512 << 20  # of a whole package, as its own table of contents says
MAX_FILE_BYTES = 8 << 20  # of one file that is read; the largest real ones have 20 kB
MAX_LINE = 400  # characters of a message

_JUNK = re.compile(r"(^|/)(\.[^/]*|__MACOSX|Thumbs\.db|desktop\.ini)(/|$)")
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)


@dataclass(frozen=True)
class Problem:
    """One kind of defect in one line. where: a path in the package, or the name of the package.

    kind: what defects have in common that are told as one; the text itself where it is empty. count: in how many files
    (or systems) it is, of which `where` is the first. Names and values of foreign files stand in `where` and `text`;
    anything that is not printable in them becomes `?`.
    """

    level: Literal["error", "warning"]
    where: str
    text: str
    kind: str = ""
    count: int = 1

    def __post_init__(self) -> None:
        for name in ("where", "text"):
            plain = "".join(c if c.isprintable() else "?" for c in getattr(self, name))
            object.__setattr__(self, name, plain if len(plain) <= MAX_LINE else plain[: MAX_LINE - 1] + "…")

    @property
    def told(self) -> str:
        """The text with the count."""
        what = "file" if PurePosixPath(self.where).suffix else "system"
        return self.text + and_more(self.count, f"such {what}")

    def __str__(self) -> str:
        return f"{self.level}: {self.where}: {self.told}"


def and_more(count: int, what: str) -> str:
    return f" ({count} {what}s)" if count > 1 else ""


def told_once(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """One problem of each kind, the first of it, with its count."""
    found: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        found.setdefault((problem.level, problem.kind or problem.text), []).append(problem)
    return tuple(replace(same[0], count=len(same)) for same in found.values())


class BrokenPackageError(Exception):
    """The package, or one of its files, cannot be read; the text says why in one line."""


class Package:
    """A folder or zip of files under names with `/`. For a folder they begin with its own name.

    `problems` holds what is wrong with single names inside a zip: such files are not among `names`.
    """

    def __init__(self, path: Path) -> None:
        """Raises UserError when there is no such path, BrokenPackageError when it cannot be read as a package."""
        if not path.exists():
            raise UserError(f"There is no package at {path}.")
        self.path = path
        self.is_zip = not path.is_dir()
        self.name = path.name if self.is_zip else path.resolve().name
        self.problems: list[Problem] = []
        self._zip = self._open_zip() if self.is_zip else None
        below = 0 if self.is_zip else len(self.name)  # the folder's own name is its owner's business
        try:
            self.names = sorted(name for name in self._list() if not _JUNK.search(name[below:]))
        except BrokenPackageError:
            self.close()
            raise

    def read(self, name: str) -> bytes:
        """One file, whole. Raises BrokenPackageError when it is damaged or too large to be one of a submission."""
        try:
            if self._zip is not None:
                with self._zip.open(name) as file:
                    data = file.read(MAX_FILE_BYTES + 1)
            else:
                with (self.path.resolve().parent / name).open("rb") as file:
                    data = file.read(MAX_FILE_BYTES + 1)
        except _UNREADABLE as error:
            raise BrokenPackageError(f"cannot be read: {error}") from error
        if len(data) > MAX_FILE_BYTES:
            raise BrokenPackageError(f"has more than {MAX_FILE_BYTES >> 20} MB, far too large for its kind")
        return data

    def close(self) -> None:
        if self._zip is not None:
            self._zip.close()

    def _open_zip(self) -> zipfile.ZipFile:
        if not self.path.is_file():  # reading a FIFO or a device may wait for ever
            raise BrokenPackageError("is neither a folder nor a regular file")
        try:
            if self.path.stat().st_size > MAX_BYTES:
                raise BrokenPackageError(f"is larger than {MAX_BYTES >> 20} MB, far too large for a package")
            return zipfile.ZipFile(self.path)
        except _UNREADABLE as error:
            raise BrokenPackageError(f"is no zip file, or a damaged one ({error})") from error

    def _list(self) -> list[str]:
        return self._list_folder() if self._zip is None else self._list_zip(self._zip)

    def _list_folder(self) -> list[str]:
        top = self.path.resolve()
        names: list[str] = []
        for folder, below, files in os.walk(top):
            below[:] = [name for name in below if not _JUNK.search(name)]
            inside = Path(folder).relative_to(top.parent)
            for name in files:
                if (Path(folder) / name).is_file():
                    names.append((inside / name).as_posix())
                elif not _JUNK.search(name):
                    self._wrong((inside / name).as_posix(), "is no regular file, or a link to none")
            if len(names) > MAX_FILES:
                raise BrokenPackageError(f"holds more than {MAX_FILES} files; this is no submission package")
        return names

    def _list_zip(self, archive: zipfile.ZipFile) -> list[str]:
        infos = [info for info in archive.infolist() if not info.filename.endswith("/")]
        total = sum(info.file_size for info in infos)
        if len(infos) > MAX_FILES:
            raise BrokenPackageError(f"holds {len(infos)} files; a submission has at most some hundreds")
        if total > MAX_BYTES:
            raise BrokenPackageError(f"unpacks to {total / 1e6:.0f} MB, far too large for a package")
        if any(info.flag_bits & 1 for info in infos):
            raise BrokenPackageError("is encrypted; a submission is a plain zip")
        counts = Counter(info.filename for info in infos)
        for name, count in counts.items():
            if _leads_outside(name):
                self._wrong(name or "(no name)", "the path leads outside the package, or is no plain relative path")
            elif count > 1:
                self._wrong(name, f"stands {count} times in the zip")
        return [name for name in counts if not _leads_outside(name)]

    def _wrong(self, name: str, text: str) -> None:
        self.problems.append(Problem("error", name, text))


def _leads_outside(name: str) -> bool:
    return not name or "\\" in name or ":" in name or name.startswith("/") or ".." in PurePosixPath(name).parts
