"""Fusions of single sounds: what `asd ensemble` makes of score files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import invoke, write_tree

from asdcli.challenge.editions.scorefiles import read_values
from asdcli.errors import UserError
from asdcli.stages.predicting.fused import FusedListener, fused_listener
from asdcli.stages.predicting.predict import Options
from asdcli.stages.selection import Selection, select
from asdcli.stages.systems import fuse_recipe, named_system
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

MACHINE = "SynFan"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fused")
    write_tree(root, train=10, seconds=1.3)
    return root


def chosen(root: Path, **options: Any) -> Selection:
    defaults = {"recipe": "everyday", "profile": "smoke", "machines": [MACHINE], "device": "cpu"}
    return select(Workspace(root), Ui(), **{**defaults, **options})


def listening(selection: Selection, system: str) -> FusedListener:
    return fused_listener(selection, system, torch.device("cpu"), Options())


@pytest.mark.parametrize("system", [pytest.param("all", marks=pytest.mark.slow), "untrained"])
def test_one_by_one_equals_the_ensemble(root: Path, system: str) -> None:
    selection = chosen(root)
    fused, _ = fuse_recipe(selection, named_system(selection, system), root / system)
    heard = listening(selection, system)
    folder = root / "data" / "demo" / "dev_data" / "raw" / MACHINE / "test"
    for section in ("00", "01"):
        end = f"{MACHINE}_section_{section}_test.csv"
        names, scores = read_values(fused.out / "dev" / f"anomaly_score_{end}")
        _, decisions = read_values(fused.out / "dev" / f"decision_result_{end}")
        for name, score, decision in list(zip(names, scores, decisions, strict=True))[::3]:
            found = heard.hear(folder / name)
            # The network of two steps tells clips apart by little more than rounding.
            assert found.whole.score == pytest.approx(score, abs=1e-3 if system == "all" else 1e-5)
            assert found.alarm == bool(decision)
            assert bool(found.why) == found.alarm
            assert (found.whole.p_value is None) == (system == "all")  # its network has learnt from the bank


def test_how_often_normal_clips_score_so_high_is_told_by_the_bank(root: Path) -> None:
    heard = listening(chosen(root), "untrained")
    own = heard.own("00")
    calibration = heard.calibration("00")
    assert calibration is not None
    assert len(own) == 12
    assert calibration.p_values(np.array([own.max() + 1.0])).tolist() == [1 / 13]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--system", "al"], "Unknown system of recipe everyday 'al'. Did you mean 'all'?"),
        (
            ["--system", "all", "--profile", "untrained"],
            "System all takes network, which the profile untrained is without.",
        ),
        (["--system", "all", "--member", "levels"], "--system is a fusion of several members, and --member names one."),
        (["--system", "all", "--detector", "distance"], "and --detector names one."),
        (["--system", "steadiest", "--recipe", "mobileanonet"], "System steadiest is not a mean of given detectors"),
    ],
)
def test_what_is_no_fusion_here_is_refused(root: Path, arguments: list[str], sentence: str) -> None:
    choice = {"--recipe": "everyday", "--profile": "smoke", "--data": "demo", "--machine": MACHINE}
    given = [word for key, value in choice.items() if key not in arguments for word in (key, value)]
    with pytest.raises(UserError) as caught:
        invoke("predict", root / "data", "--root", root, *given, *arguments)
    assert sentence in str(caught.value)
