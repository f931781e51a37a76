"""Clips added to a bank: whatever reads the bank knows them, thresholds are made anew, and there is a way back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import machine_sound, tree_bytes, write_clip, write_tree

from asdcli.challenge.editions.scorefiles import read_values
from asdcli.errors import UserError
from asdcli.stages import score, train
from asdcli.stages.predicting import bank, predict, threshold
from asdcli.stages.predicting.bank import BankNow
from asdcli.stages.predicting.predict import Listener, Options
from asdcli.stages.predicting.threshold import Wish
from asdcli.stages.selection import Selection, select
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

CPU = torch.device("cpu")
PADIM, AE = ("padim", "random", "per_position"), ("baseline_ae", "ae", "mse")
FIFTH = Wish("a fifth", rate=0.2)


@pytest.fixture
def selection(tmp_path: Path, request: pytest.FixtureRequest) -> Selection:
    recipe, member, _ = request.param
    write_tree(tmp_path, train=10)
    chosen = {"members": [member], "machines": ["SynBearing"], "profile": "smoke", "device": "cpu"}
    selection = select(Workspace(tmp_path), Ui(), recipe=recipe, **chosen)  # type: ignore[arg-type]
    train.run(selection)
    return selection


@pytest.fixture
def monday(tmp_path: Path) -> list[Path]:
    """Clips of a machine that sounds a little otherwise than in training; the last is two windows long."""
    files = [tmp_path / "monday" / f"{number}.wav" for number in range(5)]
    for number, path in enumerate(files):
        write_clip(path, machine_sound(700 + number, 260, 0.8 if number == 4 else 0.4))
    return files


def heard(selection: Selection, detector: str, path: Path) -> predict.Prediction:
    return Listener(predict.predictor_of(selection), CPU, Options(detector)).hear(path)


@pytest.mark.parametrize("selection", [PADIM], indirect=True)
def test_what_was_added_counts_until_it_is_undone(selection: Selection, monday: list[Path]) -> None:
    _, member, detector = PADIM
    (before,) = threshold.run(selection, FIFTH, detector)
    score.run(selection)
    folder = score.score_folder(selection, member, detector)
    files = tree_bytes(folder / "dev") | tree_bytes(folder / "train")
    strange = heard(selection, detector, monday[0])
    assert strange.alarm
    assert bank.add(selection, monday[1:]) == BankNow(member, "SynBearing", 2, 12, 5)
    (after,) = threshold.current(selection, detector)
    assert (before.threshold.clips, after.threshold.clips) == (12, 17)
    assert after.threshold.said == before.threshold.said
    known = heard(selection, detector, monday[0])
    assert known.whole.score < strange.whole.score
    assert known.threshold == after.threshold.value
    score.run(selection)
    names, values = read_values(folder / "dev" / "anomaly_score_SynBearing_section_00_test.csv")
    clip = selection.workspace.raw("demo", "dev") / "SynBearing" / "test" / names[0]
    assert heard(selection, detector, clip).whole.score == pytest.approx(values[0], rel=1e-5)
    assert len(read_values(folder / "train" / "anomaly_score_SynBearing_section_00_test.csv")[0]) == 12
    assert bank.add(selection, monday[:1]).added_clips == 6
    assert bank.undo(selection).version == 2
    assert bank.undo(selection) == BankNow(member, "SynBearing", 1, 12, 0)
    assert bank.undo(selection).version == 1
    score.run(selection)
    assert tree_bytes(folder / "dev") | tree_bytes(folder / "train") == files
    assert threshold.current(selection, detector) == [before]


@pytest.mark.parametrize("selection", [AE], indirect=True)
def test_clips_that_a_network_has_not_seen_bring_a_promise(selection: Selection, monday: list[Path]) -> None:
    _, _, detector = AE
    (before,) = threshold.run(selection, FIFTH, detector)
    assert before.threshold.promised is None
    assert heard(selection, detector, monday[0]).whole.p_value is None
    bank.add(selection, monday)
    (after,) = threshold.current(selection, detector)
    assert (after.threshold.source, after.threshold.clips, after.threshold.promised) == (threshold.ADDED, 6, 1 / 7)
    found = heard(selection, detector, monday[0])
    assert found.whole.p_value is not None
    assert found.whole.p_value in np.arange(1, 8) / 7


@pytest.mark.parametrize("selection", [PADIM], indirect=True)
def test_a_damaged_bank_is_not_believed(selection: Selection, monday: list[Path]) -> None:
    bank.add(selection, monday)
    (path,) = selection.workspace.root.rglob("2.npz")
    path.write_bytes(path.read_bytes()[:-9] + bytes(9))
    with pytest.raises(UserError, match="is not what was written") as caught:
        score.run(selection)
    assert "asd bank undo" in caught.value.hint
    assert bank.undo(selection).version == 1
    score.run(selection)
