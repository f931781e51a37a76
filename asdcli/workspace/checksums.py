"""Is a file what it should be? Size and checksums, of a stream or of a file on disk."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from asdcli.workspace.files import mark_of, read_json, write_atomic

BLOCK = 1 << 18  # stays in a core's cache between line, checksum and disk


class Digests:
    """Checksums of a stream. Hashing a block lets other threads run, so that two files keep two cores busy."""

    def __init__(self, algorithms: Iterable[str]) -> None:
        self._hashers = {name: hashlib.new(name) for name in algorithms}

    def update(self, block: bytes) -> None:
        for hasher in self._hashers.values():
            hasher.update(block)

    def read(self, path: Path) -> Digests:
        with path.open("rb") as file:
            while self._hashers and (block := file.read(BLOCK)):
                self.update(block)
        return self

    def hexdigests(self) -> dict[str, str]:
        return {name: hasher.hexdigest() for name, hasher in self._hashers.items()}

    def mismatch(self, checksums: Mapping[str, str]) -> str:
        """What is wrong, in words; empty when the checksums are these."""
        found = self.hexdigests()
        wrong = [name for name, value in checksums.items() if found[name] != value.lower()]
        return "; ".join(f"{name} {found[name]} instead of {checksums[name]}" for name in wrong)


def mismatch(path: Path, size: int | None, checksums: Mapping[str, str]) -> str:
    """What is wrong with a file on disk, in words; empty when size and checksums are as they should be."""
    found = path.stat().st_size
    if size is not None and found != size:
        return f"{found} bytes instead of {size}"
    return Digests(checksums).read(path).mismatch(checksums)


def remembered_sha256(path: Path, memory: Path) -> str:
    """The SHA-256 of a file; computed again only when its size, times or inode are others than in the file `memory`.

    Of a file that is gone the last one known, so that what was made of it is still found; empty where none is.
    """
    name = str(path.resolve())
    loaded = read_json(memory)
    known = loaded if isinstance(loaded, dict) else {}
    entry = known[name] if isinstance(known.get(name), dict) else {}
    told = str(entry.get("sha256", ""))
    if entry.get("check") != _check(entry.get("mark"), told):  # a damaged note would make another run of the same
        entry, told = {}, ""
    mark = mark_of(path)
    if not path.is_file() or entry.get("mark") == mark:
        return told
    found = Digests(["sha256"]).read(path).hexdigests()["sha256"]
    noted = {"mark": mark, "sha256": found, "check": _check(mark, found)}
    write_atomic(memory, json.dumps({**known, name: noted}, indent=1).encode())
    return found


def _check(mark: Any, told: str) -> int:
    return zlib.crc32(json.dumps([mark, told]).encode())
