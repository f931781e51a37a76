"""The stages on a small tree, in process: what they write, what they leave alone, and what makes them work again."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import machine_sound, tree_bytes, write_clip, write_tree
from safetensors.torch import load_file

from asdcli.challenge.editions.scorefiles import read_values
from asdcli.errors import UserError, WorkError
from asdcli.recipe.loading import RECIPES
from asdcli.stages import embed, features, score, train
from asdcli.stages.selection import Selection, select
from asdcli.stages.systems import usable_members
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

MEMBERS = ("SynBearing", "SynFan", "SynPump")


def smoke(root: Path, ui: Ui | None = None, **chosen: object) -> Selection:
    return select(Workspace(root), ui or Ui(), recipe="baseline_ae", profile="smoke", device="cpu", **chosen)  # type: ignore[arg-type]


class Listener(Ui):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def say(self, text: str) -> None:
        self.heard.append(text)

    detail = warn = say


def test_score_makes_everything_before_it(tree: Path) -> None:
    done = score.run(smoke(tree))
    assert {entry.what for entry in done} == {f"ae/{d} {m}" for d in ("mse", "mahalanobis") for m in MEMBERS}
    folder = tree / "scores" / "baseline_ae@smoke" / "demo" / "ae" / "mse" / "seed_0"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*.csv")}
    dev = [("SynBearing", "00"), ("SynFan", "00"), ("SynFan", "01")]
    kinds = ("anomaly_score", "decision_result")
    assert files == (
        {f"dev/{kind}_{m}_section_{s}_test.csv" for kind in kinds for m, s in dev}
        | {f"eval/{kind}_SynPump_section_00_test.csv" for kind in kinds}
        | {f"train/anomaly_score_{m}_section_{s}_test.csv" for m, s in [*dev, ("SynPump", "00")]}
    )
    names, values = read_values(folder / "dev" / "anomaly_score_SynFan_section_01_test.csv")
    assert len(names) == 16
    assert np.isfinite(values).all()
    assert all(name.startswith("section_01_") and name.endswith(".wav") for name in names)


@pytest.mark.parametrize("recipe", ["baseline_ae", "everyday"])
def test_data_that_do_not_fit_into_memory_train_the_same_network(
    recipe: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, member = Listener(), {"baseline_ae": "ae", "everyday": "network"}[recipe]

    def weights(**chosen: object) -> dict[str, Any]:
        selection = select(
            Workspace(tree), listener, recipe=recipe, members=[member], machines=["SynFan"], profile="smoke", **chosen
        )
        (done,) = train.run(selection)
        assert not done.fresh
        return load_file(Path(done.path) / "weights.safetensors")

    whole = weights()
    assert not any("of memory are left" in text for text in listener.heard)
    shutil.rmtree(tree / "runs")
    monkeypatch.setattr(features, "free_bytes", lambda: 10_000)
    streamed = weights()
    assert any(
        text.endswith("of data are read from a file as they are needed: 0.0 GB of memory are left")
        for text in listener.heard
    )
    assert whole.keys() == streamed.keys()
    assert all(np.array_equal(whole[name], streamed[name]) for name in whole)


def test_a_second_run_does_nothing(tree: Path) -> None:
    score.run(smoke(tree))
    before = {path: path.stat().st_mtime_ns for path in tree.rglob("*") if path.is_file()}
    for stage in (features, train, embed, score):
        assert all(entry.fresh for entry in stage.run(smoke(tree)))
    assert before == {path: path.stat().st_mtime_ns for path in tree.rglob("*") if path.is_file()}


def test_the_first_word_of_training_is_the_device(tree: Path) -> None:
    listener = Listener()
    train.run(smoke(tree, listener, data="demo"))
    assert listener.heard[0].startswith("Device: CPU")


def test_a_changed_clip_is_noticed_by_the_machines_that_hold_it(tree: Path) -> None:
    score.run(smoke(tree))
    clip = next((tree / "data" / "demo" / "dev_data" / "raw" / "SynFan" / "train").glob("*.wav"))
    write_clip(clip, machine_sound(999, 310))
    fresh = {entry.what: entry.fresh for entry in train.run(smoke(tree))}
    assert fresh == {"ae SynBearing": True, "ae SynFan": False, "ae SynPump": True}


def test_a_changed_test_clip_is_scored_again_without_training(tree: Path) -> None:
    score.run(smoke(tree, machines=["SynFan"]))
    clip = next((tree / "data" / "demo" / "dev_data" / "raw" / "SynFan" / "test").glob("*.wav"))
    write_clip(clip, machine_sound(999, 310))
    assert train.run(smoke(tree, machines=["SynFan"]))[0].fresh
    assert not embed.run(smoke(tree, machines=["SynFan"]))[0].fresh
    assert not any(entry.fresh for entry in score.run(smoke(tree, machines=["SynFan"])))


def test_touching_a_clip_repacks_but_does_not_retrain(tree: Path) -> None:
    train.run(smoke(tree))
    clip = next((tree / "data" / "demo" / "dev_data" / "raw" / "SynFan" / "train").glob("*.wav"))
    os.utime(clip, ns=(1, 1))
    assert all(entry.fresh for entry in train.run(smoke(tree)))


def test_a_missing_weight_file_is_made_again(tree: Path) -> None:
    selection = smoke(tree, machines=["SynFan"])
    (entry,) = train.run(selection)
    weights = Path(entry.path) / "weights.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    assert not train.run(selection)[0].fresh
    assert weights.read_bytes() == content


def test_seeds_have_folders_and_weights_of_their_own(tree: Path) -> None:
    one = train.run(smoke(tree, machines=["SynFan"]))[0]
    two = train.run(smoke(tree, machines=["SynFan"], seed=1))[0]
    assert one.path != two.path
    assert (Path(one.path) / "weights.safetensors").read_bytes() != (
        Path(two.path) / "weights.safetensors"
    ).read_bytes()


def test_a_run_says_what_it_was_made_from(tree: Path) -> None:
    (entry,) = train.run(smoke(tree, machines=["SynFan"]))
    made = json.loads((Path(entry.path) / "made.json").read_text())["all"]
    assert made["seed"] == 0
    assert made["training_clips"] == 16
    assert made["torch"]
    recipe = json.loads((Path(entry.path) / "recipe.json").read_text())
    assert recipe["model"] == {"name": "dense_autoencoder", "hidden": 16, "layers": 1, "bottleneck": 8}
    log = [json.loads(line) for line in (Path(entry.path) / "log.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in log] == [0, 1]
    assert log[1]["loss"] < log[0]["loss"]
    assert {"validation_loss", "clips_per_s", "lr", "step"} <= log[0].keys()
    assert not (Path(entry.path) / "checkpoint.pt").exists()


def test_training_scores_are_those_of_the_training_clips(tree: Path) -> None:
    selection = smoke(tree, machines=["SynBearing"])
    score.run(selection)
    path = score.score_folder(selection, "ae", "mse") / "train" / "anomaly_score_SynBearing_section_00_test.csv"
    names, _ = read_values(path)
    assert len(names) == 8
    assert all("_train_" in name for name in names)


def test_results_do_not_depend_on_which_machines_run_together(tree: Path, tmp_path: Path) -> None:
    score.run(smoke(tree))
    folder = score.score_folder(smoke(tree), "ae", "mse")
    together = tree_bytes(folder / "dev")
    for machine in ("SynBearing", "SynFan"):
        alone = smoke(tree, machines=[machine], seed=0)
        for path in folder.glob(f"*/*{machine}*"):
            path.unlink()
        score.run(alone)
    assert tree_bytes(folder / "dev") == together


def test_set_narrows_what_is_trained_and_scored(tree: Path) -> None:
    done = score.run(smoke(tree, set_name="eval"))
    assert {entry.what for entry in done} == {"ae/mse SynPump", "ae/mahalanobis SynPump"}


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"machines": ["SynFn"]}, "Unknown machine of demo 'SynFn'. Did you mean 'SynFan'?"),
        ({"members": ["aee"]}, "Unknown member of recipe baseline_ae 'aee'. Did you mean 'ae'?"),
        ({"data": "dcase2023"}, "dcase2023 is not under"),
        ({"data": "dcse2023"}, "Did you mean 'dcase2023'?"),
    ],
)
def test_wrong_choices(tree: Path, chosen: dict[str, object], words: str) -> None:
    with pytest.raises(UserError) as raised:
        smoke(tree, **chosen)
    assert words in str(raised.value)


def test_defaults_are_the_only_or_the_last_used_and_are_said(tree: Path) -> None:
    with pytest.raises(UserError, match="no data under"):
        select(Workspace(tree.parent / "empty"), Ui())
    listener = Listener()
    smoke(tree, listener)
    assert listener.heard == ["Data: demo (the only one here)"]
    (tree / "data" / "mine" / "dev_data" / "raw" / "press" / "train").mkdir(parents=True)
    listener.heard.clear()
    select(Workspace(tree), listener)
    assert listener.heard == ["Data: demo (used last)", "Recipe: baseline_ae, profile smoke (used last)"]


def test_own_data_has_a_recipe_that_trains_nothing_until_another_is_named(tree: Path) -> None:
    (tree / "data" / "mine" / "dev_data" / "raw" / "press" / "train").mkdir(parents=True)
    listener = Listener()
    with pytest.raises(UserError, match="Which recipe"):
        select(Workspace(tree), listener, data="demo")
    assert select(Workspace(tree), listener, data="mine").label == "mean_spectrum"
    (said,) = listener.heard
    assert said == "Recipe: mean_spectrum (it trains nothing; for own data where no recipe was named or used before)"
    select(Workspace(tree), listener, data="mine", recipe="baseline_ae")
    assert select(Workspace(tree), listener, data="mine").label == "baseline_ae"


def test_the_recipe_used_last_is_taken_with_its_profile(tree: Path) -> None:
    """After a smoke training a bare command goes on with it; a recipe that is named runs in full."""
    workspace, listener = Workspace(tree), Listener()
    smoke(tree)
    assert select(workspace, listener).label == "baseline_ae@smoke"
    assert select(workspace, listener, profile="full").label == "baseline_ae"
    assert select(workspace, listener).label == "baseline_ae"
    assert select(workspace, listener, profile="smoke").label == "baseline_ae@smoke"
    assert select(workspace, listener, recipe="baseline_ae").label == "baseline_ae"
    said = [text.removeprefix("Recipe: baseline_ae") for text in listener.heard if text.startswith("Recipe")]
    assert said == [", profile smoke (used last)", *[" (used last)"] * 3]


def test_a_recipe_that_was_remembered_without_a_profile_runs_in_full(tree: Path) -> None:
    (tree / ".last.json").write_text('{"recipe": "baseline_ae"}')
    assert select(Workspace(tree), Ui()).label == "baseline_ae"


def test_a_recipe_of_ones_own_is_remembered_by_its_place(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From whichever folder the next commands are called, and however many of them are bare."""
    shutil.copytree(RECIPES / "baseline_ae", tmp_path / "own" / "mine")
    monkeypatch.chdir(tmp_path / "own")
    select(Workspace(tree), Ui(), recipe="mine")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert select(Workspace(tree), Ui()).recipe.folder == tmp_path / "own" / "mine"


def test_files_that_match_nothing_are_reported(tree: Path) -> None:
    folder = tree / "data" / "demo" / "dev_data" / "raw" / "SynFan" / "train"
    write_clip(folder / "my_recording.wav", machine_sound(1, 100))
    listener = Listener()
    train.run(smoke(tree, listener, machines=["SynFan"]))
    assert any("my_recording.wav" in text and "left out" in text for text in listener.heard)


def test_own_data_without_an_edition(tmp_path: Path) -> None:
    raw = tmp_path / "root" / "data" / "mine" / "dev_data" / "raw" / "press"
    for index in range(6):
        write_clip(raw / "train" / f"monday_{index}.wav", machine_sound(index, 150))
        write_clip(raw / "test" / "normal" / f"{index}.wav", machine_sound(100 + index, 150))
        write_clip(raw / "test" / "anomaly" / f"{index}.wav", machine_sound(200 + index, 150, knock=True))
    selection = smoke(tmp_path / "root", data="mine")
    score.run(selection)
    names, _ = read_values(
        score.score_folder(selection, "ae", "mse") / "dev" / "anomaly_score_press_section_00_test.csv"
    )
    assert sorted(names) == sorted(f"{label}/{i}.wav" for label in ("normal", "anomaly") for i in range(6))


def test_a_failed_training_leaves_the_others_usable(tree: Path, tmp_path: Path) -> None:
    shutil.copytree(RECIPES / "baseline_ae", tmp_path / "two")
    path = tmp_path / "two" / "recipe.yaml"
    path.write_text(
        path.read_text().replace("  ae: {}", "  wild: {phases: {train: {optimizer: {lr: 1.0e+30}}}}\n  ae: {}")
    )
    chosen = {"recipe": str(tmp_path / "two"), "profile": "smoke", "device": "cpu", "machines": ["SynFan"]}
    with pytest.raises(WorkError, match=r"Training failed for wild \(SynFan\)") as raised:
        train.run(select(Workspace(tree), Ui(), **chosen))  # type: ignore[arg-type]
    assert "--member ae" in raised.value.hint
    (entry,) = train.run(select(Workspace(tree), Ui(), members=["ae"], **chosen))  # type: ignore[arg-type]
    assert entry.fresh
    listener = Listener()
    left = usable_members(select(Workspace(tree), listener, **chosen))  # type: ignore[arg-type]
    assert left.members == ("ae",)
    assert "Going on with ae." in listener.heard[-1]
    with pytest.raises(WorkError, match="The loss of phase train is"):  # nothing else was asked for
        usable_members(select(Workspace(tree), Ui(), members=["wild"], **chosen))  # type: ignore[arg-type]


def test_what_is_wrong_for_all_machines_is_said_once(tree: Path, tmp_path: Path) -> None:
    shutil.copytree(RECIPES / "padim", tmp_path / "two")
    path = tmp_path / "two" / "recipe.yaml"
    path.write_text(path.read_text().replace("  imagenet: {}", "  imagenet: {model: {weights: away.pth}}"))
    listener = Listener()
    chosen = {"recipe": str(tmp_path / "two"), "device": "cpu", "set_name": "dev"}
    left = usable_members(select(Workspace(tree), listener, **chosen))  # type: ignore[arg-type]
    assert left.members == ("random",)
    assert len([text for text in listener.heard if "There is no weight file" in text]) == 1
    (summary,) = [text for text in listener.heard if "Training failed for imagenet (SynBearing, SynFan)" in text]
    assert "Going on with random." in summary


def test_a_classifier_with_two_phases_scores_the_demo_machines(tmp_path: Path) -> None:
    write_tree(tmp_path / "root", seconds=1.2)
    chosen = {"recipe": "arcface_ensemble", "profile": "smoke", "device": "cpu", "members": ["mobilefacenet_1024"]}
    done = score.run(select(Workspace(tmp_path / "root"), Ui(), set_name="dev", **chosen))  # type: ignore[arg-type]
    scores = [f"mobilefacenet_1024/{detector}" for detector in ("cosine", "mahalanobis")]
    assert {entry.what for entry in done} == {f"{s} {machine}" for s in scores for machine in ("SynBearing", "SynFan")}
    run = tmp_path / "root" / "runs" / "arcface_ensemble@smoke" / "demo" / "mobilefacenet_1024" / "all" / "seed_0"
    (run,) = run.iterdir()
    assert json.loads((run / "made.json").read_text())["all"]["phases"] == ["source", "target"]
    frozen = load_file(run / "weights.safetensors")
    assert all(value.isfinite().all() for value in frozen.values())


def test_what_the_classes_are_made_of_is_said_when_it_is_not_the_first_choice(tmp_path: Path) -> None:
    write_tree(tmp_path / "root", seconds=0.8)
    listener = Listener()
    chosen = {"recipe": "baseline_mobilenetv2", "profile": "smoke", "device": "cpu", "machines": ["SynBearing"]}
    train.run(select(Workspace(tmp_path / "root"), listener, **chosen))  # type: ignore[arg-type]
    assert any("SynBearing: one class by section; 2 by domain" in text for text in listener.heard)


def test_test_clips_of_a_section_without_training_clips_are_not_watched(tmp_path: Path) -> None:
    """They are of no class that the network has, so that there is no loss of theirs."""
    write_tree(tmp_path / "root", seconds=0.8)
    folder = tmp_path / "root" / "data" / "demo" / "dev_data" / "raw" / "SynFan" / "test"
    for path in folder.glob("section_00_*"):
        shutil.copy(path, path.with_name(path.name.replace("section_00", "section_02")))
    shutil.copytree(RECIPES / "baseline_mobilenetv2", tmp_path / "watching")
    with (tmp_path / "watching" / "recipe.yaml").open("a") as file:
        file.write("watch_clips: 100\n")
    chosen = {"recipe": str(tmp_path / "watching"), "profile": "smoke", "device": "cpu", "machines": ["SynFan"]}
    (entry,) = train.run(select(Workspace(tmp_path / "root"), Ui(), **chosen))  # type: ignore[arg-type]
    log = [json.loads(line) for line in (Path(entry.path) / "log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(line["anomalous_loss"]) for line in log)


def test_a_phase_that_needs_target_clips_is_left_out_without_them(tmp_path: Path) -> None:
    raw = tmp_path / "root" / "data" / "dcase2020" / "dev_data" / "raw" / "ToyCar"
    for machine_id in ("01", "02"):
        for index in range(4):
            write_clip(raw / "train" / f"normal_id_{machine_id}_{index:08d}.wav", machine_sound(index, 150, 1.2))
        write_clip(raw / "test" / f"anomaly_id_{machine_id}_00000000.wav", machine_sound(9, 150, 1.2, knock=True))
    chosen = {"recipe": "arcface_ensemble", "profile": "smoke", "device": "cpu", "members": ["mobilefacenet_1024"]}
    (entry,) = train.run(select(Workspace(tmp_path / "root"), Ui(), data="dcase2020", **chosen))  # type: ignore[arg-type]
    assert json.loads((Path(entry.path) / "made.json").read_text())["all"]["phases"] == ["source"]
