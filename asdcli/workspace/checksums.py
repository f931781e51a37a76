"""Is a file what it should be? Size and checksums, of a stream or of a file on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

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

    def mismatch(self, checksums: Mapping[str, str]) -> str:
        """What is wrong, in words; empty when the checksums are these."""
        found = {name: hasher.hexdigest() for name, hasher in self._hashers.items()}
        wrong = [name for name, value in checksums.items() if found[name] != value.lower()]
        return "; ".join(f"{name} {found[name]} instead of {checksums[name]}" for name in wrong)


def mismatch(path: Path, size: int | None, checksums: Mapping[str, str]) -> str:
    """What is wrong with a file on disk, in words; empty when size and checksums are as they should be."""
    found = path.stat().st_size
    if size is not None and found != size:
        return f"{found} bytes instead of {size}"
    return Digests(checksums).read(path).mismatch(checksums)
