"""Shared fixtures: real clips when they are there, small trees of real files, and the command line as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import REPOSITORY, write_tree
from hypothesis import HealthCheck, settings
from processes import Command

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two test processes on two cores

# Whoever starts tests in the background of a script has them ignore Ctrl-C, and their processes too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Timings are benchmarked, not tested.
settings.register_profile("asd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("asd")

LONG = ("test_readme.py", "test_promise.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, so that no worker is left alone with one of them in the end."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(scope="session")
def real_dir() -> Path:
    """The folder of real clips and score files; tests that need it are marked `real`."""
    folder = Path(os.environ.get("ASD_REAL") or REPOSITORY.parent / "shared" / "real")
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; ASD_REAL names the folder")
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root with the data set `demo` in it: tiny clips of noise and tones under the demo's machine names."""
    write_tree(tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture
def asd(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `asd` as a process of its own in a folder of its own."""

    def run(*arguments: str | Path, code: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        done = Command(arguments, tmp_path, {**os.environ, "COLUMNS": "160", **environment}).wait()
        assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """The names of files that are moved to their place from now on, and whether each was on the disk by then."""
    found: dict[str, bool] = {}
    flushed: set[int] = set()
    fsync, replace = os.fsync, os.replace

    def flushing(handle: int) -> None:
        fsync(handle)
        flushed.add(os.fstat(handle).st_ino)

    def replacing(source: Path, target: Path) -> None:
        top = Path(source)
        files = [top] if top.is_file() else [path for path in top.rglob("*") if path.is_file()]
        found.update({path.name: path.stat().st_ino in flushed for path in files})
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flushing)
    monkeypatch.setattr(os, "replace", replacing)
    return found


@pytest.fixture
def imported_by_asd(tmp_path: Path) -> Callable[..., set[str]]:
    """The modules that `asd ...` imports, in an interpreter that has imported nothing before."""

    def run(*arguments: str) -> set[str]:
        environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
        command = [sys.executable, "-m", "asdcli", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}

    return run
