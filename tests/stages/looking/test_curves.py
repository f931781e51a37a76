"""The epochs of trainings as they can be drawn: whole runs, runs under way, and what the recipe watches."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from asdcli.errors import UserError
from asdcli.recipe.loading import RECIPES
from asdcli.stages import train
from asdcli.stages.looking import curves
from asdcli.stages.selection import Selection, select
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace


@pytest.fixture
def chosen(tree: Path, tmp_path: Path) -> Selection:
    """Two phases, and test clips watched."""
    shutil.copytree(RECIPES / "baseline_ae", tmp_path / "watched")
    path = tmp_path / "watched" / "recipe.yaml"
    again = "  again: {task: reconstruction, epochs: 1, batch_size: 64, optimizer: {name: adam, lr: 0.001}}\n"
    path.write_text(path.read_text().replace("\ndetectors:", f"{again}\nwatch_clips: 6\n\ndetectors:", 1))
    options = {"recipe": str(path.parent), "profile": "smoke", "device": "cpu", "machines": ["SynFan", "SynPump"]}
    return select(Workspace(tree), Ui(), **options)  # type: ignore[arg-type]


def test_every_run_with_all_that_was_logged(chosen: Selection) -> None:
    train.run(chosen)
    fan, pump = curves.run(chosen)
    assert [(one.member, one.group) for one in (fan, pump)] == [("ae", "SynFan"), ("ae", "SynPump")]
    assert fan.phase_starts == {"train": 0, "again": 2}
    apart = fan.values("anomalous_loss") - fan.values("normal_loss")
    assert np.allclose(fan.values("separability"), apart, rtol=1e-5)
    assert np.isfinite(fan.values("loss")).all()
    assert np.isnan(fan.values("validation_loss")).tolist() == [False, False, True]
    assert not pump.has("separability"), "an evaluation set tells no labels"


def test_a_run_under_way_may_end_in_half_a_line(chosen: Selection) -> None:
    folder = chosen.workspace.runs(chosen.label, "demo", "ae", "SynFan", 0) / "0123456789ab"
    folder.mkdir(parents=True)
    line = json.dumps({"phase": "train", "epoch": 0, "loss": 1.5})
    (folder / "log.jsonl").write_text(f"{line}\n{line[:9]}")
    (fan,) = curves.run(chosen)
    assert fan.values("loss").tolist() == [1.5]


def test_nothing_trained_yet(chosen: Selection) -> None:
    with pytest.raises(UserError, match="watched@smoke has no training with seed 0 on demo yet") as raised:
        curves.run(chosen)
    assert "asd train --recipe watched" in raised.value.hint
