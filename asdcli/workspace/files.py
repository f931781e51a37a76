"""Files that nobody meets half written."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LEFT_BEHIND_S = 24 * 3600  # a temporary file that nobody has touched for so long is of a process that was killed


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to. At the end its file takes the place of `path`; after an error nothing does.

    A reader, or a kill, meets the old file or the new one and nothing between.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
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
