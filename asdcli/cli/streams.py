"""stdin, stdout and stderr as a command finds them: open, closed, or on a full disk; and how a command ends."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import NoReturn


def open_closed() -> None:
    """Put something on numbers 0 to 2 where nothing is open, so that no file of ours gets one of them.

    What is written to a closed stdout is an error, as it is on a full disk; what would be said on a closed stderr is
    lost.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)  # the lowest free number
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def flush_results() -> None:
    """Raise now what Python would only mention when it ends: results that could not be written."""
    sys.stdout.flush()


def end(code: int) -> NoReturn:
    """Exit with this code, whatever became of stdout and stderr."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _to_nowhere(stream.fileno())
    sys.exit(code)


def lose_messages() -> None:
    """Where messages cannot be written any more: the work goes on without them."""
    _to_nowhere(2)


def end_by_interrupt() -> None:
    """Die of SIGINT: a shell ends its loop then, which it does not for a command that exits with 130."""
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


def _to_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
