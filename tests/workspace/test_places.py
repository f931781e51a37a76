"""Places on disk, what was used last, and locks between real processes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import REPOSITORY

from asdcli.errors import UserError
from asdcli.workspace.places import Workspace, open_root

# What a second process runs: hold the lock of argv[2] below the root argv[1] until stdin ends. It says "waiting" when a
# lock was not to be had at once.
HOLD = """
import sys
from pathlib import Path
import filelock
from asdcli.workspace.places import Workspace

class Lock(filelock.FileLock):
    def acquire(self, *arguments, **options):
        try:
            return super().acquire(timeout=0)
        except filelock.Timeout:
            print("waiting", flush=True)
            return super().acquire(*arguments, **options)

filelock.FileLock = Lock
with Workspace(Path(sys.argv[1])).lock(Path(sys.argv[1]) / sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


# --- what is there --------------------------------------------------------------------------------------------------


def test_editions_are_the_folders_that_hold_a_set(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert workspace.editions() == []
    for folder in ("demo/dev_data/raw", "demo/eval_data/raw", "dcase2020/eval_data/raw", "empty", "half/dev_data"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    (tmp_path / "data" / "notes.txt").touch()
    assert workspace.editions() == ["dcase2020", "demo"]
    assert workspace.sets("demo") == ["dev", "eval"]
    assert workspace.sets("dcase2020") == ["eval"]


def test_every_seed_and_member_has_places_of_its_own(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    variants = [
        place(*(changed if index == position else "x" for index in range(4)), seed)
        for place in (workspace.run, workspace.embeddings, workspace.scores)
        for position in range(4)
        for changed in ("a", "b")
        for seed in (0, 1)
    ]
    assert len(set(variants)) == len(variants)
    assert all(path.is_relative_to(tmp_path) for path in variants)


def test_the_root_must_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file is a file; --root \(or ASD_ROOT\)"):
        open_root(tmp_path / "file")
    assert open_root(tmp_path / "new").root == tmp_path / "new"
    assert not (tmp_path / "new").exists()


# --- what was used last ---------------------------------------------------------------------------------------------


def test_remember_adds_to_what_is_known(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "bare")
    assert workspace.last() == {}
    workspace.remember(edition="demo", recipe="baseline_ae")
    workspace.remember(edition="dcase2020")
    assert Workspace(tmp_path / "bare").last() == {"edition": "dcase2020", "recipe": "baseline_ae"}


def test_remembering_the_same_again_writes_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.remember(edition="demo")
    (file,) = tmp_path.iterdir()
    os.utime(file, ns=(0, 0))
    workspace.remember(edition="demo")
    assert file.stat().st_mtime_ns == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null"])
def test_a_broken_memory_is_no_memory(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".last.json").write_bytes(content)
    workspace = Workspace(tmp_path)
    assert workspace.last() == {}
    workspace.remember(edition="demo")
    assert workspace.last() == {"edition": "demo"}


# --- locks ----------------------------------------------------------------------------------------------------------


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
