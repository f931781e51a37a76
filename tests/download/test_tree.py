"""The official tree is changed in whole steps, wherever the work is cut off."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from helpers import tree_bytes
from server import make_zip

from asdcli.download import tree as module
from asdcli.download.archives import DamagedError
from asdcli.download.tree import Tree
from asdcli.errors import UserError

TRAIN = {"fan/train/a.wav": b"a", "fan/train/b.wav": b"b", "fan/attributes_03.csv": b"file_name\n"}
TEST = {"fan/source_test/c.wav": b"c", "fan/target_test/d.wav": b"dd"}


class CutError(Exception):
    """The power went away."""


def add(folder: Path, part: str, files: dict[str, bytes]) -> None:
    archive = folder / f"{part}.zip"
    archive.write_bytes(make_zip(files))
    Tree(folder / "data").add(part, "fan", archive, lambda done: None)


def raw(folder: Path) -> dict[str, bytes]:
    return tree_bytes(folder / "data" / "eval_data" / "raw")


def cut_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Let only so many renames through."""
    left = [steps]
    replace = os.replace

    def counted(*arguments: Any) -> None:
        if left[0] == 0:
            raise CutError
        left[0] -= 1
        replace(*arguments)

    monkeypatch.setattr(os, "replace", counted)


@pytest.mark.parametrize("order", [("train", "eval"), ("eval", "train")])
def test_two_zips_make_one_machine(tmp_path: Path, order: tuple[str, str]) -> None:
    for part in order:
        add(tmp_path, part, TRAIN if part == "train" else TEST)
    assert raw(tmp_path) == {**TRAIN, **TEST}
    tree = Tree(tmp_path / "data")
    tree.tidy()
    assert sorted(path.name for path in tree.folder.iterdir()) == ["downloaded.json", "eval_data"]
    assert tree.holds("train", "fan")
    assert tree.holds("eval", "fan")


def test_files_are_on_the_disk_before_they_have_their_place(tmp_path: Path, renamed: dict[str, bool]) -> None:
    add(tmp_path, "train", TRAIN)
    add(tmp_path, "eval", TEST)
    names = {"a.wav", "b.wav", "c.wav", "d.wav", "attributes_03.csv", "note.json"}
    assert names <= {name for name, flushed in renamed.items() if flushed}
    assert all(renamed.values())


def test_two_zips_of_one_machine_at_the_same_moment(tmp_path: Path) -> None:
    archives = {"train": tmp_path / "train.zip", "eval": tmp_path / "eval.zip"}
    for part, files in (("train", {"fan/train/a.wav": b"a"}), ("eval", {"fan/test/b.wav": b"b"})):
        archives[part].write_bytes(make_zip(files))
    for turn in range(50):
        tree = Tree(tmp_path / str(turn))
        together = threading.Barrier(2)

        def add_one(part: str, tree: Tree = tree, together: threading.Barrier = together) -> None:
            together.wait()
            tree.add(part, "fan", archives[part], lambda done: None)

        with ThreadPoolExecutor(2) as threads:
            for done in [threads.submit(add_one, part) for part in archives]:
                done.result()
        assert tree_bytes(tree.raw("eval")) == {"fan/train/a.wav": b"a", "fan/test/b.wav": b"b"}
    assert not tree.holds("dev", "fan")


@pytest.mark.parametrize("first", [{}, TRAIN])
@pytest.mark.parametrize("steps", range(8))
def test_cut_off_anywhere_and_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: dict[str, bytes], steps: int
) -> None:
    """After a cut, whole parts or nothing; after `settle` and another `add`, everything."""
    if first:
        add(tmp_path, "train", first)
    with monkeypatch.context() as patch:
        cut_after(patch, steps)
        with suppress(CutError):
            add(tmp_path, "eval", TEST)
    if not first:  # the first part of a machine comes with one rename
        assert raw(tmp_path) in ({}, TEST)
    tree = Tree(tmp_path / "data")
    tree.settle()
    tree.tidy()
    if steps > 0:  # the staging was complete: settling alone finishes the work
        assert raw(tmp_path) == {**first, **TEST}
        assert tree.holds("eval", "fan")
    add(tmp_path, "eval", TEST)
    tree.tidy()
    assert raw(tmp_path) == {**first, **TEST}
    assert sorted(path.name for path in tree.folder.iterdir()) == ["downloaded.json", "eval_data"]


@pytest.mark.parametrize("steps", range(9))
def test_a_part_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    add(tmp_path, "train", TRAIN)
    (tmp_path / "data/eval_data/raw/fan/train/a.wav").unlink()
    assert not Tree(tmp_path / "data").holds("train", "fan")
    with monkeypatch.context() as patch:
        cut_after(patch, steps)
        with suppress(CutError):
            add(tmp_path, "train", TRAIN)
    Tree(tmp_path / "data").settle()
    add(tmp_path, "train", TRAIN)
    assert raw(tmp_path) == TRAIN
    assert Tree(tmp_path / "data").holds("train", "fan")


def test_killed_while_it_tidies_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a staging that was moved in, and half of a new list of what is here, are swept away by the next run."""

    def remove_half(folder: Path, **options: Any) -> None:
        if (folder / "note.json").exists():
            (folder / "note.json").unlink()
            raise CutError

    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "rmtree", remove_half)
        with pytest.raises(CutError):
            add(tmp_path, "eval", TEST)
    tree = Tree(tmp_path / "data")
    (tree.folder / ".downloaded.json.123.tmp").write_bytes(b"{")
    tree.settle()
    tree.tidy()
    assert tree.holds("eval", "fan")
    assert sorted(path.name for path in tree.folder.iterdir()) == ["downloaded.json", "eval_data"]


def test_files_of_the_user_are_not_thrown_away(tmp_path: Path) -> None:
    mine = tmp_path / "data/eval_data/raw/fan/train/my_labels.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("precious")
    with pytest.raises(UserError, match=r"my_labels\.csv does not come from"):
        add(tmp_path, "train", TRAIN)
    assert raw(tmp_path) == {"fan/train/my_labels.csv": b"precious"}
    assert not list((tmp_path / "data/.download").iterdir())


def test_a_note_is_not_enough(tmp_path: Path) -> None:
    """A file that was cut (power loss after the rename) or is gone makes the part incomplete."""
    add(tmp_path, "eval", TEST)
    tree = Tree(tmp_path / "data")
    (tmp_path / "data/eval_data/raw/fan/target_test/d.wav").write_bytes(b"")
    assert not tree.holds("eval", "fan")
    (tmp_path / "data/downloaded.json").write_text("{")
    assert not tree.holds("eval", "fan")


def test_a_zip_of_another_machine(tmp_path: Path) -> None:
    with pytest.raises(DamagedError, match="nothing below a folder fan"):
        add(tmp_path, "train", {"pump/train/a.wav": b"a"})
    assert not raw(tmp_path)
