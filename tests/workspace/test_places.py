"""Places on disk, and what was used last."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from asdcli.errors import UserError
from asdcli.workspace.places import Workspace, open_root

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
        for place in (workspace.runs, workspace.embeddings, workspace.scores)
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


@pytest.mark.parametrize("name", ["../up", "/etc", "..", ".", "", "a/b", "a\\b", "a\nb", "a\0b"])
def test_no_name_leads_out_of_the_root(tmp_path: Path, name: str) -> None:
    workspace = Workspace(tmp_path)
    asked: list[Callable[[str], Path]] = [
        workspace.data,
        workspace.ensemble,
        workspace.submission,
        workspace.truth,
        lambda name: workspace.raw(name, "dev"),
        lambda name: workspace.store("demo", "dev", name),
        lambda name: workspace.runs("r", "demo", name, "fan", 0),
        lambda name: workspace.embeddings(name, "demo", "m", "fan", 0),
        lambda name: workspace.scores("r", "demo", "m", name, 0),
    ]
    for place in asked:
        with pytest.raises(UserError, match="cannot be the name of a folder"):
            place(name)


@pytest.mark.parametrize("text", ["[5]", '{"edition": 5, "recipe": []}', "", "[" * 100_000])
def test_a_damaged_note_of_what_was_used_last_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / ".last.json").write_text(text)
    assert Workspace(tmp_path).last() == {}


def test_a_linked_set_that_is_not_there(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.data("x").joinpath("dev_data").mkdir(parents=True)
    workspace.raw("x", "dev").symlink_to(tmp_path / "unplugged")
    assert workspace.unplugged("x") == {"dev": tmp_path / "unplugged"}
    assert workspace.linked_editions() == ["x"]
    (tmp_path / "unplugged").mkdir()
    assert (workspace.unplugged("x"), workspace.linked_editions()) == ({}, [])
