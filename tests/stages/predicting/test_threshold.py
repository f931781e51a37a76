"""Thresholds that are set: kept with the run, used by whatever decides, and only while they are of what is there."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import machine_sound, tree_bytes, write_clip, write_tree

from asdcli.challenge.editions.scorefiles import read_values
from asdcli.errors import UserError
from asdcli.recipe.loading import RECIPES
from asdcli.stages import embed, score, train
from asdcli.stages.looking import anomaly_map
from asdcli.stages.predicting import threshold
from asdcli.stages.predicting.set_thresholds import FILE
from asdcli.stages.predicting.threshold import Found, Wish
from asdcli.stages.selection import Selection, select
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

TENTH = Wish("a tenth", rate=0.1)
NAME = "section_00_source_test_{}_000{}_spd_1.wav"


class Listener(Ui):
    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, text: str) -> None:
        self.warned.append(text)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("thresholds")
    write_tree(root, train=18)
    return root


def chosen(root: Path, recipe: str = "baseline_ae", ui: Ui | None = None, **options: object) -> Selection:
    defaults = {"profile": "smoke", "machines": ["SynFan"], "device": "cpu"}
    return select(Workspace(root), ui or Ui(), recipe=recipe, **{**defaults, **options})  # type: ignore[arg-type]


def padim(root: Path, **options: object) -> Selection:
    return chosen(root, "padim", members=["random"], **options)


def decisions(selection: Selection, member: str, detector: str, section: str = "00") -> tuple[np.ndarray, np.ndarray]:
    score.run(selection)
    folder = score.score_folder(selection, member, detector) / "dev"
    name = f"SynFan_section_{section}_test.csv"
    values = read_values(folder / f"anomaly_score_{name}")[1]
    return values, read_values(folder / f"decision_result_{name}")[1]


def test_scores_are_decided_by_it_and_as_before_without_it(root: Path) -> None:
    selection = chosen(root)
    score.run(selection)
    folder = score.score_folder(selection, "ae", "mse")
    before = tree_bytes(folder / "dev") | tree_bytes(folder / "train")
    values, _ = decisions(selection, "ae", "mse")
    middle = float(np.median(values))
    threshold.run(selection, Wish("given", value=middle), "mse")
    assert decisions(selection, "ae", "mse")[1].tolist() == (values > middle).astype(int).tolist()
    assert [one.threshold.value for one in threshold.current(selection, "mse")] == [middle, middle]
    assert [one.threshold for one in threshold.unset(selection, "mse")] == [None]
    score.run(selection)
    assert tree_bytes(folder / "dev") | tree_bytes(folder / "train") == before


def test_without_training_the_clips_left_out_one_by_one_promise(root: Path) -> None:
    selection = padim(root)
    found = threshold.run(selection, TENTH, "per_position")
    assert [(one.machine, one.section) for one in found] == [("SynFan", "00"), ("SynFan", "01")]
    for kept in [one.threshold for one in found]:
        assert (kept.clips, kept.rank, kept.promised, kept.source) == (20, 19, 2 / 21, threshold.LEFT_OUT)
    score.run(selection)
    own = read_values(
        score.score_folder(selection, "random", "per_position") / "train" / "anomaly_score_SynFan_section_00_test.csv"
    )[1]
    assert found[0].threshold.value == pytest.approx(np.sort(own)[18], rel=1e-9)


def test_maps_are_judged_by_it(root: Path) -> None:
    clip = NAME.format("normal", 0)
    selection = padim(root)
    (before,) = anomaly_map.run(selection, [f"SynFan/test/{clip}"])
    threshold.run(selection, Wish("given", value=before.score - 1), before.detector)
    (after,) = anomaly_map.run(selection, [f"SynFan/test/{clip}"])
    assert (after.threshold, after.anomalous) == (before.score - 1, True)
    threshold.unset(selection)


def test_a_trained_network_promises_nothing_but_with_clips_held_out(root: Path) -> None:
    selection = chosen(root)
    learnt = threshold.run(selection, TENTH, "mse")
    assert [(one.threshold.source, one.threshold.promised) for one in learnt] == [(threshold.LEARNT, None)] * 2
    folder = root / "data" / "demo" / "dev_data" / "raw" / "SynFan" / "test"
    clips = [folder / NAME.format("normal", number) for number in range(4)]
    with pytest.raises(UserError, match="Of which section"):
        threshold.run(selection, TENTH, "mse", held_out=clips)
    (held,) = threshold.run(selection, TENTH, "mse", "00", clips)
    values, _ = decisions(selection, "ae", "mse")
    names = read_values(
        score.score_folder(selection, "ae", "mse") / "dev" / "anomaly_score_SynFan_section_00_test.csv"
    )[0]
    own = [value for name, value in zip(names, values, strict=True) if name in {clip.name for clip in clips}]
    assert held.threshold.value == pytest.approx(max(own), rel=1e-6)
    assert (held.threshold.promised, held.threshold.source) == (1 / 5, threshold.HELD_OUT)
    assert not held.conformal.supported
    other = {one.section: one.threshold.source for one in threshold.current(selection, "mse")}
    assert other == {"00": threshold.HELD_OUT, "01": threshold.LEARNT}
    threshold.unset(selection)


def test_a_value_is_of_one_score(root: Path) -> None:
    with pytest.raises(UserError, match="several: ae/mse, ae/mahalanobis"):
        threshold.run(chosen(root), Wish("3", value=3.0))
    with pytest.raises(UserError, match="Unknown detector"):
        threshold.run(chosen(root), TENTH, "knn")
    with pytest.raises(UserError, match="Unknown section"):
        threshold.run(chosen(root), TENTH, "mse", "07")


def test_of_another_detector_or_damaged_it_does_not_count(root: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine"
    shutil.copytree(RECIPES / "baseline_ae", recipe)
    selection = chosen(root, str(recipe))
    train.run(selection)
    before = decisions(selection, "ae", "mahalanobis")[1].tolist()
    threshold.run(selection, Wish("low", value=-1.0), "mahalanobis")
    assert decisions(selection, "ae", "mahalanobis")[1].all()
    text = (recipe / "recipe.yaml").read_text()
    (recipe / "recipe.yaml").write_text(text.replace("average: frames, per: section", "average: frames, per: machine"))
    ui = Listener()
    changed = chosen(root, str(recipe), ui)
    assert not decisions(changed, "ae", "mahalanobis")[1].all()
    assert any("set for another mahalanobis" in sentence for sentence in ui.warned)
    (recipe / "recipe.yaml").write_text(text)
    assert decisions(chosen(root, str(recipe)), "ae", "mahalanobis")[1].all()
    (path,) = (root / "runs" / "mine@smoke").rglob(FILE)
    path.write_text(path.read_text().replace("-1.0", "-2.0"))
    ui = Listener()
    assert decisions(chosen(root, str(recipe), ui), "ae", "mahalanobis")[1].tolist() == before
    assert any("is not what was written" in sentence for sentence in ui.warned)


def test_days_are_left_out_where_names_tell_them(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "mine" / "dev_data" / "raw" / "press"
    rng = np.random.default_rng(0)
    for day in range(1, 5):
        for take in range(4):
            sound = machine_sound(10 * day + take, 200 + 30 * day) + 0.001 * rng.standard_normal(6400)
            write_clip(folder / "train" / f"2026-11-0{day}_{take}.wav", sound)
    selection = select(
        Workspace(tmp_path), Ui(), recipe="padim", members=["random"], profile="smoke", device="cpu", data="mine"
    )
    (found,) = threshold.run(selection, TENTH, "per_band_mean")
    assert (found.days, found.threshold.source, found.threshold.clips) == (4, threshold.BY_DAY, 16)
    embedded = embed.load_embedded(selection, "random", "press")
    method = selection.method("random", "press")
    fitted = embedded.fitted(method, method.detectors["per_band_mean"], "00")
    assert (
        found.threshold.value > np.sort(fitted.own)[found.threshold.rank - 1]
    )  # other days are farther than other clips


def test_found_without_a_threshold_has_no_promise() -> None:
    assert Found("a", "b", "c", "00", None).conformal is None
