"""One at a time: locks between processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from asdcli.errors import WorkError, reason


@contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file `path` against other processes; the lock dies with its process.

    waiting: called once when another process has it. Raises WorkError when the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting()
            lock.acquire()
    except OSError as error:
        raise WorkError(f"{path.parent} cannot be written: {reason(error)}.") from None
    try:
        yield
    finally:
        lock.release()
