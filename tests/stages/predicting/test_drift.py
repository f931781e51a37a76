"""Drift of normal sound: none between clips of one kind, and each kind of change is seen by the test that is for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import machine_sound, write_clip, write_tree

from asdcli.errors import UserError
from asdcli.stages import train
from asdcli.stages.predicting import drift, predict
from asdcli.stages.predicting.drift import Drift
from asdcli.stages.predicting.predict import Listener, Options
from asdcli.stages.selection import select
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@pytest.fixture(scope="module")
def listen(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Drift]:
    """Drift of 16 new clips of a machine after a change."""
    root = tmp_path_factory.mktemp("drift")
    write_tree(root, train=24)
    chosen = {"profile": "smoke", "machines": ["SynBearing"], "device": "cpu"}
    listeners = {}
    for recipe, member in (("padim", "random"), ("baseline_ae", "ae")):
        selection = select(Workspace(root), Ui(), recipe=recipe, members=[member], **chosen)  # type: ignore[arg-type]
        train.run(selection)
        predictor = predict.predictor_of(selection)
        listeners[recipe] = predictor, Listener(predictor, torch.device("cpu"), Options())

    def run(change: Change, folder: Path, recipe: str = "padim", count: int = 16) -> Drift:
        rng = np.random.default_rng(0)
        files = [folder / f"{number}.wav" for number in range(count)]
        for number, path in enumerate(files):
            write_clip(path, change(machine_sound(500 + number, 200), rng))
        return drift.run(*listeners[recipe], files)

    return run


def unchanged(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return clip


def test_clips_of_the_same_kind_have_not_drifted(listen: Callable[..., Drift], tmp_path: Path) -> None:
    found = listen(unchanged, tmp_path)
    assert (found.windows, found.clips, found.section) == (16, 26, "00")
    assert not found.drifted
    assert [test.name for test in found.tests] == ["level", "spectrum", "scores"]


def test_a_louder_recording_has_drifted_in_level_alone_of_both(listen: Callable[..., Drift], tmp_path: Path) -> None:
    found = {test.name: test for test in listen(lambda clip, rng: 2 * clip, tmp_path).tests}
    assert found["level"].drifted
    assert found["level"].change == "6.0 dB louder"
    assert not found["spectrum"].drifted


def test_another_spectrum_and_what_detectors_make_of_it(listen: Callable[..., Drift], tmp_path: Path) -> None:
    def hiss(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return clip + 0.02 * np.diff(rng.standard_normal(len(clip) + 1))

    found = {test.name: test for test in listen(hiss, tmp_path).tests}
    assert found["spectrum"].drifted
    assert found["scores"].drifted
    learnt = {test.name: test for test in listen(hiss, tmp_path, "baseline_ae").tests}
    assert learnt["scores"].p_value is None
    assert "the network has learnt from the bank" in learnt["scores"].change


def test_too_few_windows_tell_nothing(listen: Callable[..., Drift], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="4 windows of sound tell nothing"):
        listen(unchanged, tmp_path, count=4)
