"""Checkpoints and logs on disk. That a run goes on exactly from them is shown in test_resume.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import asdcli.training.checkpoint as module
from asdcli.errors import WorkError
from asdcli.training.checkpoint import Checkpoint

STATE = {"phase": "train", "at": {"step": 3, "best_loss": float("inf")}, "task": {"w": torch.arange(3.0)}, "best": None}


def test_a_checkpoint_round_trips(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "checkpoint.pt"
    Checkpoint(path, "f").save(STATE)
    loaded = Checkpoint(path, "f").load()
    assert loaded is not None
    assert torch.equal(loaded.pop("task")["w"], STATE["task"]["w"])  # type: ignore[index]
    assert loaded == {key: STATE[key] for key in ("phase", "at", "best")} | {"fingerprint": "f"}
    assert [found.name for found in path.parent.iterdir()] == ["checkpoint.pt"]


def test_a_checkpoint_of_something_else_is_none(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    assert Checkpoint(path, "f").load() is None
    Checkpoint(path, "f").save(STATE)
    assert Checkpoint(path, "g").load() is None
    torch.save([1, 2], path)
    assert Checkpoint(path, "f").load() is None


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"fingerprint": "f", "at": Path("pickled")}, path)
    assert Checkpoint(path, "f").load() is None


def test_a_checkpoint_that_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkError, match=r"Cannot save the checkpoint .*checkpoint\.pt") as caught:
        Checkpoint(tmp_path / "file" / "checkpoint.pt", "f").save(STATE)
    assert "Free some space" in caught.value.hint
    (tmp_path / "taken.pt").mkdir()
    with pytest.raises(WorkError, match="Cannot save"):
        Checkpoint(tmp_path / "taken.pt", "f").save(STATE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken.pt"]


def test_saving_is_due_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "f")
    monkeypatch.setattr(module, "SHORTEST_S", 1000)
    assert not checkpoint.due()
    monkeypatch.setattr(module, "SHORTEST_S", 0)
    assert checkpoint.due()


def test_a_save_is_not_due_before_its_cost_is_earned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHORTEST_S", 0)
    monkeypatch.setattr(module, "OVERHEAD", 1e-9)  # a save of a millisecond allows the next after eleven days
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "f")
    assert checkpoint.due()
    checkpoint.save(STATE)
    assert not checkpoint.due()
    monkeypatch.setattr(module, "OVERHEAD", 1e9)
    assert checkpoint.due()


def test_a_checkpoint_can_be_removed_twice(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "f")
    checkpoint.save(STATE)
    checkpoint.remove()
    checkpoint.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", range(0, 1000, 37))
def test_one_bit_is_noticed(tmp_path: Path, place: int) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "f")
    checkpoint.save(STATE)
    content = bytearray(checkpoint.path.read_bytes())
    content[place] ^= 1
    checkpoint.path.write_bytes(content)
    assert checkpoint.load() is None
    assert checkpoint.damaged
