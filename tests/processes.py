"""`asd` as processes of its own that need not import torch first: they are forked from one that has done so.

Such a process does all that `python -m asdcli` does after its imports. Nothing here waits for a time to pass.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import FrameType

PRELOADED = [
    "matplotlib.figure",
    "scipy.signal",
    "scipy.stats",
    "sklearn.covariance",
    "torchaudio",
    "torchvision",
    "asdcli.cli.app",
    "asdcli.stages.looking.curves",
    "asdcli.stages.predicting.predict",
    *(f"asdcli.stages.{name}" for name in ("download", "ensemble", "evaluate", "jobs", "package")),
]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(PRELOADED)


class Command:
    """An `asd` at work. `around`: a context in the new process, entered before the command begins."""

    def __init__(
        self,
        arguments: Sequence[str | Path],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        around: AbstractContextManager | None = None,
    ) -> None:
        self.arguments = list(map(str, arguments))
        self._said = tempfile.TemporaryDirectory(prefix="asd_said_")
        self.outputs = [Path(self._said.name) / name for name in ("stdout", "stderr")]
        given = (self.arguments, folder, dict(os.environ if environment is None else environment), self.outputs)
        self._process = CONTEXT.Process(target=_run, args=(*given, around or nullcontext()), daemon=True)
        self._process.start()

    def wait(self) -> subprocess.CompletedProcess[str]:
        """Its exit code (negative: the signal that ended it) and what it said."""
        self._process.join()
        assert self._process.exitcode is not None
        said = [path.read_text() if path.exists() else "" for path in self.outputs]
        return subprocess.CompletedProcess(self.arguments, self._process.exitcode, *said)


def _run(
    arguments: list[str], folder: Path, environment: dict[str, str], outputs: list[Path], around: AbstractContextManager
) -> None:
    for number, path in enumerate(outputs, start=1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["asd", *arguments]
    from asdcli.cli.app import main

    with around:
        main()


class Calls:
    """Counts the calls of functions, Python's and C's, into a file; or kills the process at one of them.

    A moment drawn from them is one of the work, however busy the machine and however long the work takes.
    """

    def __init__(self, count: Path | None = None, kill_at: float = math.inf) -> None:
        self.count, self.kill_at, self.calls = count, kill_at, 0

    def __enter__(self) -> None:
        sys.setprofile(self._look)

    def __exit__(self, *error: object) -> None:
        sys.setprofile(None)
        if self.count is not None:
            self.count.write_text(str(self.calls))

    def _look(self, frame: FrameType, event: str, argument: object) -> None:
        if event.endswith("call"):
            self.calls += 1
            if self.calls == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
