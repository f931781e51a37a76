"""Files are written in one step, and what killed processes left is swept away in time."""

from __future__ import annotations

import itertools
import os
import threading
import time
from pathlib import Path

import pytest

from asdcli.workspace.files import LEFT_BEHIND_S, replacing, write_atomic


def test_write_atomic_writes_and_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "taken" / "inner").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"):
        write_atomic(tmp_path / "taken", b"one")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_reader_never_meets_half_a_file(tmp_path: Path) -> None:
    path, size, enough = tmp_path / "file", 1 << 20, threading.Event()
    write_atomic(path, b"a" * size)

    def write() -> None:
        for letter in itertools.cycle((b"b", b"c", b"d")):
            write_atomic(path, letter * size)
            if enough.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    try:
        while len(seen) < 3:  # as long as it takes to meet several of them
            content = path.read_bytes()
            assert len(content) == size
            assert len(set(content)) == 1
            seen.add(content[:1])
    finally:
        enough.set()
        writer.join()


def test_after_an_error_nothing_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def half_way() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"ne")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        half_way()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_only_old_leftovers_of_the_same_file_are_swept(tmp_path: Path) -> None:
    path, yesterday = tmp_path / "file", time.time() - LEFT_BEHIND_S - 60
    old, new, other = (tmp_path / name for name in (".file.1.tmp", ".file.2.tmp", ".others.1.tmp"))
    for left in (old, new, other):
        left.touch()
    for left in (old, other):
        os.utime(left, (yesterday, yesterday))
    write_atomic(path, b"x")
    assert {left.name for left in tmp_path.iterdir()} == {"file", new.name, other.name}
