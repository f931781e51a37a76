"""Prediction of single sounds: what scoring in bulk gives, of files of any form, from a run folder alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import RATE, machine_sound, write_clip, write_tree

from asdcli.challenge.editions.edition import load_edition
from asdcli.challenge.editions.scorefiles import read_values
from asdcli.download.link import link_tree
from asdcli.errors import UserError
from asdcli.recipe.loading import RECIPES
from asdcli.stages import score, train
from asdcli.stages.predicting import export, predict, threshold
from asdcli.stages.predicting.predict import Failed, Listener, Options, Prediction
from asdcli.stages.predicting.threshold import Wish
from asdcli.stages.selection import Selection, select
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

CPU = torch.device("cpu")
SECONDS = 1.1


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("predicted")
    write_tree(root, train=10, seconds=SECONDS)
    return root


def chosen(root: Path, recipe: str = "baseline_ae", **options: object) -> Selection:
    defaults = {"profile": "smoke", "machines": ["SynFan"], "device": "cpu"}
    return select(Workspace(root), Ui(), recipe=recipe, **{**defaults, **options})  # type: ignore[arg-type]


def trained(root: Path, **options: object) -> Selection:
    selection = chosen(root, **options)  # type: ignore[arg-type]
    train.run(selection)
    return selection


def listener(selection: Selection, **options: object) -> Listener:
    return Listener(predict.predictor_of(selection), CPU, Options(**options))  # type: ignore[arg-type]


def scored(selection: Selection, member: str, detector: str, machine: str = "SynFan") -> dict[str, tuple[float, float]]:
    """Score and decision of each test clip of the dev set, by name; a decision of 2020 is none."""
    score.run(selection)
    found = {}
    folder = score.score_folder(selection, member, detector) / "dev"
    for path in sorted(folder.glob(f"anomaly_score_{machine}_*.csv")):
        names, values = read_values(path)
        decided = path.with_name(path.name.replace("anomaly_score", "decision_result"))
        decisions = read_values(decided)[1] if decided.exists() else np.full(len(values), np.nan)
        found |= dict(zip(names, zip(values, decisions, strict=True), strict=True))
    return found


@pytest.mark.parametrize(
    ("recipe", "member", "detector"),
    [
        ("baseline_ae", "ae", "mse"),
        ("baseline_ae", "ae", "mahalanobis"),
        ("padim", "random", "per_position"),
        ("baseline_mobilenetv2", "mobilenetv2", "log_odds"),
    ],
)
def test_one_by_one_equals_scoring_in_bulk(root: Path, recipe: str, member: str, detector: str) -> None:
    selection = chosen(root, recipe, members=[member])
    bulk = scored(selection, member, detector)
    heard = listener(selection, detector=detector)
    folder = root / "data" / "demo" / "dev_data" / "raw" / "SynFan" / "test"
    assert len(bulk) == 32
    for path in sorted(folder.iterdir())[::3]:
        found = heard.hear(path)
        assert found.whole.score == pytest.approx(bulk[path.name][0], rel=1e-5, abs=2e-5)  # log odds are about 0
        assert found.alarm == bool(bulk[path.name][1])
        assert bool(found.why) == found.alarm
        assert (found.whole.p_value is None) == (recipe != "padim")  # networks have learnt from the bank


@pytest.mark.real
@pytest.mark.parametrize("machine", ["slider", pytest.param("ToyCar", marks=pytest.mark.slow)])
def test_one_by_one_equals_scoring_in_bulk_on_real_clips(real_dir: Path, tmp_path: Path, machine: str) -> None:
    """Of ToyCar, that is: features of the real clips, with synthetic phase."""
    edition = load_edition("dcase2020")
    link_tree(Workspace(tmp_path / "root"), edition, real_dir / "dcase2020")
    selection = chosen(tmp_path / "root", machines=[machine], data="dcase2020")
    bulk = scored(selection, "ae", "mahalanobis", machine)
    heard = listener(selection, detector="mahalanobis")
    folder = real_dir / "dcase2020" / "dev_data" / "raw" / machine / "test"
    for path in sorted(folder.iterdir())[:: 3 if machine == "slider" else 24]:
        assert heard.hear(path).whole.score == pytest.approx(bulk[path.name][0], rel=1e-5)


def test_a_long_file_alarms_where_the_fault_is(root: Path, tmp_path: Path) -> None:
    selection = trained(root, recipe="padim", members=["random"])
    rng = np.random.default_rng(0)
    parts = [machine_sound(700 + number, 300, SECONDS) for number in range(6)]
    parts[4] = parts[4] + 0.2 * rng.standard_normal(len(parts[4]))
    path = tmp_path / "section_00_long.wav"
    write_clip(path, np.concatenate(parts))
    heard = listener(selection, section="00")
    found = heard.hear(path)
    assert [round(window.begin_s, 3) for window in found.windows] == pytest.approx([SECONDS * n for n in range(6)])
    assert (found.worst.begin_s, found.alarm) == (pytest.approx(4.4), True)
    assert found.whole.score == found.worst.score
    assert found.whole.end_s == pytest.approx(6.6)
    scores = np.array([window.score for window in found.windows])
    for name, expected in (("p95", np.quantile(scores, 0.95)), ("mean", scores.mean())):
        other = listener(selection, section="00", aggregate=name).hear(path)
        assert other.whole.score == pytest.approx(expected)
    overlapping = listener(selection, section="00", hop=0.55).hear(path)
    assert len(overlapping.windows) == 11
    assert {window.begin_s: window.score for window in overlapping.windows}[4.4] == pytest.approx(found.worst.score)


def test_any_rate_form_and_number_of_channels(root: Path, tmp_path: Path) -> None:
    from scipy.signal import resample_poly

    heard = listener(trained(root), section="00", detector="mse")
    clip = np.rint(machine_sound(800, 300, SECONDS) * 32767).astype(np.int16)
    write_clip(tmp_path / "plain.wav", clip)
    write_clip(tmp_path / "flac.flac", clip)
    write_clip(tmp_path / "two.wav", np.stack([clip, clip // 10], 1))
    write_clip(tmp_path / "fast.wav", resample_poly(clip / 32768, 3, 1), 3 * RATE)
    plain, flac, two, fast = (heard.hear(tmp_path / name) for name in ("plain.wav", "flac.flac", "two.wav", "fast.wav"))
    assert plain.whole.score == flac.whole.score == two.whole.score  # channel 0 is what the recipe takes
    assert fast.whole.score == pytest.approx(plain.whole.score, rel=0.05)


def test_what_cannot_be_scored_does_not_stop_the_others(root: Path, tmp_path: Path) -> None:
    write_clip(tmp_path / "good.wav", machine_sound(1, 300, SECONDS))
    (tmp_path / "bad.wav").write_text("no sound at all")
    write_clip(tmp_path / "short.wav", np.zeros(100))
    files = [tmp_path / name for name in ("bad.wav", "good.wav", "short.wav", "gone.wav")]
    found = list(predict.run(Ui(), listener(trained(root), section="00"), files))
    assert [type(one) for one in found] == [Failed, Prediction, Failed, Failed]
    with pytest.raises(UserError, match="Of which section"):
        listener(trained(root)).hear(tmp_path / "good.wav")
    with pytest.raises(UserError, match="Unknown section"):
        listener(trained(root), section="09").hear(tmp_path / "good.wav")
    for wrong in ({"window": 0.0}, {"hop": -1.0}, {"detector": "knn"}):
        with pytest.raises(UserError):
            listener(trained(root), **wrong)


def test_without_a_finished_run_it_says_how_to_train(root: Path) -> None:
    with pytest.raises(UserError, match="not trained for SynBearing yet") as caught:
        predict.predictor_of(chosen(root, machines=["SynBearing"]))
    assert caught.value.hint == "asd train --recipe baseline_ae --profile smoke --data demo --machine SynBearing"
    with pytest.raises(UserError, match="Of which machine"):
        predict.predictor_of(chosen(root, machines=None))


def test_of_several_members_the_first_predicts_and_it_is_said(root: Path) -> None:
    said: list[str] = []

    class Listening(Ui):
        def say(self, text: str) -> None:
            said.append(text)

    selection = replace(trained(root, recipe="everyday", profile="untrained"), ui=Listening())
    predict.predictor_of(selection)
    assert "Member: spectrum (the first; --member takes levels, asd predict --system a fusion)" in said
    said.clear()
    predict.predictor_of(replace(selection, members=("levels",)))
    assert not [line for line in said if line.startswith("Member:")]


def test_the_folder_of_a_run_is_enough_wherever_it_lies(root: Path, tmp_path: Path) -> None:
    selection = trained(root)
    threshold.run(selection, Wish("given", value=1.0), "mse")
    folder = root / "data" / "demo" / "dev_data" / "raw" / "SynFan" / "test"
    path = sorted(folder.iterdir())[0]
    here = listener(selection, detector="mse")
    run = predict.predictor_of(selection).run
    shutil.copytree(run, tmp_path / "copy")

    def elsewhere() -> Listener:
        predictor = predict.predictor_in(Workspace(tmp_path / "nothing"), Ui(), tmp_path / "copy", None)
        return Listener(predictor, CPU, Options(detector="mse"))

    assert elsewhere().hear(path) == here.hear(path)
    assert here.hear(path).threshold == 1.0
    threshold.unset(selection, "mse")
    assert here.hear(path).threshold == 1.0  # as it was when it began to listen
    assert listener(selection, detector="mse").hear(path).threshold != 1.0
    with pytest.raises(UserError, match="Unknown machine"):
        predict.predictor_in(Workspace(tmp_path), Ui(), tmp_path / "copy", "SynPump")
    with pytest.raises(UserError, match="holds no predictor"):
        predict.predictor_in(Workspace(tmp_path), Ui(), tmp_path, None)
    for name in ("weights.safetensors", "predictors/SynFan/bank.npz", "predictors/SynFan/predictor.json"):
        whole = (tmp_path / "copy" / name).read_bytes()
        (tmp_path / "copy" / name).write_bytes(whole[:-20])
        with pytest.raises(UserError, match="damaged or not whole"):
            elsewhere()
        (tmp_path / "copy" / name).write_bytes(whole)
    assert elsewhere().hear(path).whole == here.hear(path).whole


def test_code_beside_a_recipe_runs_with_the_recipe_alone(root: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine"
    shutil.copytree(RECIPES / "baseline_ae", recipe)
    text = (recipe / "recipe.yaml").read_text()
    assert "mse: {name: mse}" in text
    (recipe / "recipe.yaml").write_text(text.replace("mse: {name: mse}", "mse: {name: './mine.py:Mine'}"))
    (recipe / "mine.py").write_text(
        "from asdcli.detection.detectors.mse import MeanSquaredError\n\n\n"
        "class Mine(MeanSquaredError):\n"
        "    def score(self, embeddings):\n"
        "        return 2 * super().score(embeddings)\n"
    )
    path = root / "data" / "demo" / "dev_data" / "raw" / "SynFan" / "test"
    path = sorted(path.iterdir())[0]
    selection = trained(root, recipe=str(recipe))
    mine, plain = (listener(one, detector="mse").hear(path) for one in (selection, trained(root)))
    assert mine.whole.score == pytest.approx(2 * plain.whole.score, rel=1e-6)
    with pytest.raises(UserError, match=r"names code of its own, mine\.py"):
        predict.predictor_in(Workspace(root), Ui(), predict.predictor_of(selection).run, None)
    with pytest.raises(UserError, match="names code of its own"):
        export.run(predict.predictor_of(selection), tmp_path / "box")


def test_code_that_computes_otherwise_is_refused(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    selection = trained(root)
    shutil.copytree(predict.predictor_of(selection).run, tmp_path / "copy")
    monkeypatch.setattr("asdcli.stages.predicting.predictors.EMBEDDING", 99)
    with pytest.raises(UserError, match="whose numbers computed otherwise"):
        predict.predictor_in(Workspace(tmp_path), Ui(), tmp_path / "copy", None)
