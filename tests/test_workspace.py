"""Places on disk, freshness, what was used last, and locks between real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st

import asdcli
from asdcli.errors import UserError
from asdcli.workspace import Made, Workspace, digest, fingerprint, open_root

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)

# What a second process runs: hold the lock of argv[2] below the root argv[1] until stdin ends.
HOLD = """
import sys
from pathlib import Path
from asdcli.workspace import Workspace
print("started", flush=True)
with Workspace(Path(sys.argv[1])).lock(Path(sys.argv[1]) / sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def reversed_keys(value: object) -> object:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


@given(JSON)
def test_a_digest_does_not_depend_on_the_order_of_keys(value: object) -> None:
    assert digest(value) == digest(reversed_keys(value))


@given(JSON, JSON)
def test_different_values_have_different_digests(one: object, other: object) -> None:
    assert (digest(one) == digest(other)) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


def test_a_fingerprint_knows_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint({"recipe": 1})
    assert before == fingerprint({"recipe": 1}) != fingerprint({"recipe": 2})
    monkeypatch.setattr(asdcli, "__version__", "0.0.0")
    assert fingerprint({"recipe": 1}) != before


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


# --- freshness ------------------------------------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A folder with two parts, one of which has a file."""
    (tmp_path / "weights").touch()
    made = Made(tmp_path)
    made.write("abc", ["weights"], "one", seed=3)
    made.write("def", [], "two")
    return made


def test_fresh_is_what_was_made_from_exactly_this(made: Made) -> None:
    assert made.is_fresh("abc", "one")
    assert made.is_fresh("def", "two")
    assert not made.is_fresh("def", "one")
    assert not made.is_fresh("abc", "three")
    assert not made.is_fresh("abc")
    assert made.fingerprint("one") == "abc"
    assert made.fingerprint("three") is None
    assert made.read()["one"] == {"fingerprint": "abc", "files": ["weights"], "asd": asdcli.__version__, "seed": 3}


def test_a_missing_file_makes_its_part_stale_and_no_other(made: Made) -> None:
    (made.folder / "weights").unlink()
    assert not made.is_fresh("abc", "one")
    assert made.is_fresh("def", "two")
    (made.folder / "weights").mkdir()  # a folder is no file
    assert not made.is_fresh("abc", "one")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"one": 1}'])
def test_a_broken_word_is_stale_and_can_be_written_again(made: Made, content: bytes) -> None:
    made.path.write_bytes(content)
    assert not made.is_fresh("abc", "one")
    assert made.fingerprint("one") is None
    made.write("abc", ["weights"], "one")
    assert made.is_fresh("abc", "one")


def test_nothing_is_fresh_where_nothing_was_made(tmp_path: Path) -> None:
    assert not Made(tmp_path / "nowhere").is_fresh("abc")


# --- locks ----------------------------------------------------------------------------------------------------------


def hold(root: str, folder: str, cwd: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, root, folder],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def holds(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None
    return process.stdout.readline() == "held\n"


def release(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_second_process_waits_for_the_first(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    first = hold("root", "runs/a", tmp_path)  # the same folder, spelt in two ways
    assert holds(first)
    second = hold(str(tmp_path / "root"), "runs/a", tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.3)
    other = hold("root", "runs/b", tmp_path)
    assert holds(other)  # another folder is free
    release(other)
    os.set_blocking(second.stdout.fileno(), False)  # type: ignore[union-attr]
    assert not second.stdout.readline()  # type: ignore[union-attr]
    os.set_blocking(second.stdout.fileno(), True)  # type: ignore[union-attr]
    release(first)
    assert holds(second)
    release(second)


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    first = hold(str(tmp_path), "runs/a", tmp_path)
    assert holds(first)
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=20)
    with Workspace(tmp_path).lock(tmp_path / "runs" / "a"):
        pass


def test_a_lock_is_free_after_an_error(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with pytest.raises(KeyError), workspace.lock(tmp_path / "a"):
        raise KeyError
    with workspace.lock(tmp_path / "a"):
        pass
