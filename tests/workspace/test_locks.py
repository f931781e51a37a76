"""Locks between real processes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import REPOSITORY

from asdcli.errors import WorkError
from asdcli.workspace.locks import locked
from asdcli.workspace.places import Workspace

# What a second process runs: hold the lock of argv[2] below the root argv[1] until stdin ends. It says "waiting" when a
# lock was not to be had at once.
HOLD = """
import sys
from pathlib import Path
import filelock
from asdcli.workspace.places import Workspace

class Lock(filelock.FileLock):
    def acquire(self, *arguments, **options):
        if not (arguments or options):  # the first try, which does not wait, failed
            print("waiting", flush=True)
        return super().acquire(*arguments, **options)

filelock.FileLock = Lock
with Workspace(Path(sys.argv[1])).lock(Path(sys.argv[1]) / sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(root: str, folder: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, root, folder],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def says(process: subprocess.Popen[str]) -> str:
    """The next thing it says, whenever that may be."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def release(process: subprocess.Popen[str]) -> None:
    process.communicate()
    assert process.returncode == 0


def test_a_second_process_waits_for_the_first(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    first = hold("root", "runs/a", tmp_path)  # the same folder, spelt in two ways
    assert says(first) == "held"
    second = hold(str(tmp_path / "root"), "runs/a", tmp_path)
    assert says(second) == "waiting"
    other = hold("root", "runs/b", tmp_path)
    assert says(other) == "held"  # another folder is free
    release(other)
    assert select.select([second.stdout], [], [], 0)[0] == []  # still waiting
    release(first)
    assert says(second) == "held"
    release(second)


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    first = hold(str(tmp_path), "runs/a", tmp_path)
    assert says(first) == "held"
    first.send_signal(signal.SIGKILL)
    first.communicate()
    with Workspace(tmp_path).lock(tmp_path / "runs" / "a"):
        pass


def test_a_lock_is_free_after_an_error(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with pytest.raises(KeyError), workspace.lock(tmp_path / "a"):
        raise KeyError
    with workspace.lock(tmp_path / "a"):
        pass


def test_a_lock_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkError, match="file cannot be written"), locked(tmp_path / "file" / "lock"):
        pass
