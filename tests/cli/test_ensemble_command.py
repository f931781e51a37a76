"""`asd ensemble` as users meet it: the table, the document, the weights file, and mistakes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers import clip_names, invoke, notices

from asdcli.challenge.editions.edition import load_edition
from asdcli.challenge.editions.scorefiles import Unit, read_values, score_name, write_values
from asdcli.challenge.editions.truth import truth_from_clips, write_truth
from asdcli.errors import UserError
from asdcli.recipe.loading import RECIPES
from asdcli.stages.ensemble import part_name

EDITION = load_edition("dcase2023")
CLIPS = clip_names(10)
EVAL_CLIPS = [f"section_00_{index:04d}.wav" for index in range(20)]


@pytest.fixture
def scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two systems on two machines of the dev set and one of the eval set, in folders `one` and `two`."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("one", "two")):
        rng = np.random.default_rng(number)
        for machine in ("fan", "valve"):
            values = rng.integers(0, 9, 40) + 3 * np.array(["anomaly" in clip for clip in CLIPS])
            write_values(tmp_path / name / score_name(EDITION, Unit(machine, "00")), CLIPS, values)
        write_values(tmp_path / name / score_name(EDITION, Unit("Vacuum", "00")), EVAL_CLIPS, rng.random(20))
    return tmp_path


def fuse(*arguments: str) -> str:
    return invoke("ensemble", "one", "two", "--data", "dcase2023", *arguments)


def test_the_document_of_a_search(scores: Path) -> None:
    document = json.loads(fuse("--norm", "none", "--grid", "--step", "0.25", "--out", "fused", "--json"))
    assert {"equal", "grid", "held_out", "weights", "out"} <= document.keys()
    assert document["weights"].keys() == {"one", "two"}
    assert sum(document["weights"].values()) == pytest.approx(1)
    assert document["grid"] >= document["equal"]  # equal weights are a point of this grid
    assert document["grid"] >= document["held_out"]
    assert document["oracle"] is True
    assert (scores / document["out"] / "eval" / score_name(EDITION, Unit("Vacuum", "00"))).is_file()


def test_the_document_without_a_search(scores: Path) -> None:
    equal = json.loads(fuse("--norm", "none", "--out", "fused", "--json"))
    assert not {"grid", "held_out", "score"} & equal.keys()
    assert equal["weights"] == {"one": 0.5, "two": 0.5}
    assert equal["oracle"] is False
    given = json.loads(fuse("--norm", "none", "--weight", "one=0.3", "--weight", "two=0.1", "--out", "fused", "--json"))
    assert given["weights"] == pytest.approx({"one": 0.75, "two": 0.25})
    assert given["score"] is not None
    assert given["equal"] == equal["equal"]


def test_the_table_shows_three_numbers_and_a_verdict(scores: Path) -> None:
    shown = fuse("--norm", "none", "--grid", "--out", "fused")
    for words in ("equal weights", "grid optimum (oracle)", "held out"):
        assert words in shown
    assert "On machines that the weights did not see the fusion is" in shown


def test_weights_travel_to_the_evaluation_set(scores: Path) -> None:
    fuse("--norm", "none", "--grid", "--out", "fused")
    for name in ("one", "two"):
        for machine in ("fan", "valve"):
            (scores / name / score_name(EDITION, Unit(machine, "00"))).unlink()
    document = json.loads(fuse("--weights", "fused/weights.yaml", "--out", "final", "--json"))
    assert document["weights"] == yaml.safe_load((scores / "fused" / "weights.yaml").read_text())["weights"]
    assert document["normalisation"] == "none"  # as the file says
    assert document["equal"] is None
    name = score_name(EDITION, Unit("Vacuum", "00"))
    assert (scores / "final/eval" / name).read_bytes() == (scores / "fused/eval" / name).read_bytes()


def test_it_is_said_which_machine_has_which_weights(scores: Path) -> None:
    shown = fuse("--norm", "none", "--grid", "--per-machine", "--out", "fused")
    assert "Own weights: fan, valve. Common weights (column weight): Vacuum." in shown
    document = json.loads(fuse("--norm", "none", "--grid", "--per-machine", "--out", "fused", "--json"))
    assert document["machine_weights"].keys() == {"fan", "valve"}
    assert document["common_weights_for"] == ["Vacuum"]


def test_one_machine_has_no_estimate(scores: Path) -> None:
    for name in ("one", "two"):
        (scores / name / score_name(EDITION, Unit("fan", "00"))).unlink()
    assert "There is one machine only" in fuse("--norm", "none", "--grid", "--out", "fused")
    assert json.loads(fuse("--norm", "none", "--grid", "--out", "fused", "--json"))["held_out"] is None


def test_test_statistics_are_named_in_the_table(scores: Path) -> None:
    assert "Normalised by test clips" in fuse("--norm", "test-rank", "--out", "fused")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--grid", "--weight", "one=1"], "--grid and --weight each choose the weights"),
        (["--step", "0.5"], "belong to a search"),
        (["--per-machine"], "belong to a search"),
        (["--grid", "--step", "0.3"], "no whole number of steps of 0.3"),
        (["--weight", "one"], "not of the form SYSTEM=WEIGHT"),
        (["--weight", "one=many"], "not of the form SYSTEM=WEIGHT"),
        (["--weight", "tow=1", "--norm", "none"], "Did you mean 'two'"),
        (["--weight", "one=0", "--norm", "none"], "All weights are 0"),
        (["--weights", "nowhere.yaml"], "nowhere.yaml"),
        (["--system", "mse"], "names a system of a recipe"),
        (["--grid"], "no scores of training clips"),
    ],
)
def test_mistakes_are_one_sentence(scores: Path, arguments: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as raised:
        fuse(*arguments)
    assert sentence in str(raised.value)


def test_the_recipe_keeps_the_way_its_ensemble_was_made(tree: Path) -> None:
    """A grid over a recipe's members, then `evaluate`, which brings the ensemble up to date as it was made."""
    recipe = ("--root", tree, "--recipe", "baseline_ae", "--profile", "smoke", "--json")
    made = json.loads(invoke("ensemble", "--grid", "--step", "0.5", *recipe))
    assert made["weights"].keys() == {"ae/mse", "ae/mahalanobis"}
    before = (Path(made["out"]) / "weights.yaml").stat().st_mtime_ns
    results = json.loads(invoke("evaluate", "--bootstrap", "0", "--partial", *recipe))["results"]
    assert before == (Path(made["out"]) / "weights.yaml").stat().st_mtime_ns
    (fused,) = [result for result in results if result["path"] == made["out"]]
    assert fused["system"].endswith("(oracle on dev)")
    assert fused["partial_score"] == pytest.approx(made["grid"], abs=1e-12)
    plain = json.loads(invoke("ensemble", "--system", "mse", *recipe))
    assert plain["weights"] == {"ae/mse": 1.0}


def test_the_threshold_of_the_recipe_decides_in_its_ensemble(tree: Path, tmp_path: Path) -> None:
    """A new threshold in the recipe is noticed, and fewer clips are called anomalous."""
    shutil.copytree(RECIPES / "baseline_ae", tmp_path / "mine")
    path, old = tmp_path / "mine" / "recipe.yaml", "threshold: {name: gamma, quantile: 0.9}"
    recipe = ("--root", tree, "--recipe", path.parent, "--profile", "smoke", "--json")
    alarms = []
    for quantile in ("0.9", "0.1", "0.999999"):
        text = (RECIPES / "baseline_ae" / "recipe.yaml").read_text()
        path.write_text(text.replace(old, f"threshold: {{name: gamma, quantile: {quantile}}}"))
        out = Path(json.loads(invoke("ensemble", *recipe))["out"])
        alarms.append(sum(read_values(found)[1].sum() for found in out.rglob("decision_result*.csv")))
    usual, more, fewer = alarms
    assert fewer < usual < more


def test_the_best_of_one_detector(tree: Path, tmp_path: Path) -> None:
    shutil.copytree(RECIPES / "baseline_ae", tmp_path / "mine")
    path = tmp_path / "mine" / "recipe.yaml"
    text = path.read_text().replace("systems:\n", "systems:\n  best: {best: 1, detector: mahalanobis, oracle: true}\n")
    path.write_text(text)
    recipe = ("--root", tree, "--recipe", path.parent, "--profile", "smoke", "--json")
    made = json.loads(invoke("ensemble", "--system", "best", *recipe))
    assert made["weights"] == {"ae/mahalanobis": 1.0}


def test_without_a_choice_the_systems_of_the_recipe_are_named(tree: Path) -> None:
    known = ("--root", tree, "--recipe", "baseline_ae", "--profile", "smoke", "--machine", "SynFan", "--device", "cpu")
    sentence = "All count the same; systems that the recipe names, for --system: mse, mahalanobis"
    assert sentence in notices("ensemble", *known)
    assert sentence not in notices("ensemble", *known, "--system", "mse")


def test_a_system_names_its_normalisation_and_the_command_may_name_another(tree: Path, tmp_path: Path) -> None:
    shutil.copytree(RECIPES / "baseline_ae", tmp_path / "mine")
    path = tmp_path / "mine" / "recipe.yaml"
    both = "{weights: {ae/mse: 1, ae/mahalanobis: 1}, normalisation: none}"
    path.write_text(path.read_text().replace("systems:\n", f"systems:\n  plain: {both}\n"))
    recipe = ("--root", tree, "--recipe", path.parent, "--profile", "smoke", "--system", "plain", "--json")
    made = json.loads(invoke("ensemble", *recipe))
    assert made["normalisation"] == "none"
    assert yaml.safe_load((Path(made["out"]) / "weights.yaml").read_text())["normalisation"] == "none"
    name = "anomaly_score_SynFan_section_00_test.csv"
    alone = [read_values(found)[1] for found in tree.glob(f"scores/mine@smoke/demo/ae/*/seed_0/dev/{name}")]
    assert len(alone) == 2
    fused = read_values(Path(made["out"]) / "dev" / name)[1]
    np.testing.assert_allclose(fused, np.mean(alone, axis=0), rtol=1e-9)
    assert json.loads(invoke("ensemble", "--norm", "train", *recipe))["normalisation"] == "train"


def test_scores_of_a_section_count_with_the_opposite_sign(tree: Path, tmp_path: Path) -> None:
    """In scores, in those of its training clips, and in decisions, which are made anew; all other sections stay."""
    shutil.copytree(RECIPES / "baseline_ae", tmp_path / "mine")
    path = tmp_path / "mine" / "recipe.yaml"
    systems = """systems:
  straight: {weights: {ae/mse: 1.0}, normalisation: none}
  turned: {weights: {ae/mse: 1.0}, normalisation: none, turned: [SynFan 00], oracle: true}
"""
    path.write_text(path.read_text().replace("systems:\n", systems))
    recipe = ("--root", tree, "--recipe", path.parent, "--profile", "smoke")
    folders = [
        Path(json.loads(invoke("ensemble", "--system", name, *recipe, "--json"))["out"])
        for name in ("straight", "turned")
    ]
    for found in sorted(folders[0].rglob("*.csv")):
        straight, turned = (read_values(folder / found.relative_to(folders[0]))[1] for folder in folders)
        if "SynFan_section_00" not in found.name:
            np.testing.assert_array_equal(straight, turned)
        elif found.name.startswith("anomaly_score"):
            np.testing.assert_allclose(turned, -straight)
        else:
            assert not np.array_equal(turned, straight)


def test_the_best_of_each_machine(tree: Path, tmp_path: Path) -> None:
    """Marked as chosen with labels, with the number that they give where they did not choose beside it."""
    shutil.copytree(RECIPES / "baseline_ae", tmp_path / "mine")
    path = tmp_path / "mine" / "recipe.yaml"
    best = "{best: 1, per: machine, normalisation: none, oracle: true}"
    path.write_text(path.read_text().replace("systems:\n", f"systems:\n  best: {best}\n"))
    recipe = ("--root", tree, "--recipe", path.parent, "--profile", "smoke", "--system", "best")
    made = json.loads(invoke("ensemble", *recipe, "--json"))
    assert made["oracle"] is True
    assert made["common_weights_for"] == ["SynPump"], "the machine of the evaluation set has no labels to choose by"
    assert all(sorted(shares.values()) == [0, 1] for shares in made["machine_weights"].values())
    assert made["machine_weights"].keys() == {"SynBearing", "SynFan"}
    assert made["score"] >= max(made["systems"].values()) - 1e-12
    assert made["score"] >= made["held_out"]
    shown = invoke("ensemble", *recipe)
    assert "best systems (oracle)" in shown
    assert "held out (weights found on the other machines)" in shown
    assert f"{100 * made['held_out']:.2f}" in shown


def test_one_machine_of_folders_that_do_not_hold_the_same(scores: Path) -> None:
    (scores / "two" / score_name(EDITION, Unit("valve", "00"))).unlink()
    with pytest.raises(UserError, match="do not hold the same files: valve section 00"):
        fuse("--norm", "none", "--out", "fused")
    fuse("--norm", "none", "--out", "fused", "--machine", "fan")
    assert {path.name.split("_")[2] for path in (scores / "fused").rglob("*.csv")} == {"fan"}


def test_fusing_one_machine_loses_nothing_of_the_fusion_of_all(tree: Path) -> None:
    """A fusion of one machine has a folder of its own; what was fused of all, and how, stays as it is."""
    recipe = ("--root", tree, "--recipe", "baseline_ae", "--profile", "smoke", "--json")
    whole = Path(json.loads(invoke("ensemble", "--grid", "--step", "0.5", *recipe))["out"])
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    alone = json.loads(invoke("evaluate", "--machine", "SynFan", "--bootstrap", "0", *recipe))["results"][-1]
    assert list(alone["machines"]) == ["SynFan"]
    assert alone["system"].endswith("(oracle on dev)"), "the weights of all machines are those of one of them"
    document = json.loads(invoke("ensemble", "--machine", "SynFan", *recipe))
    assert {path.name.split("_")[2] for path in Path(document["out"]).rglob("*.csv")} == {"SynFan"}
    assert before == {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    shown = json.loads(invoke("evaluate", "--machine", "SynFan", "--bootstrap", "0", *recipe))["results"]
    assert shown[-1]["path"] == document["out"]


def test_fusing_another_seed_loses_nothing_of_the_first(tree: Path) -> None:
    """Each seed has its fusion, with its own weights, and `evaluate` shows that of the seed it is asked for."""
    recipe = ("--root", tree, "--recipe", "baseline_ae", "--profile", "smoke", "--machine", "SynFan", "--json")
    first = Path(json.loads(invoke("ensemble", "--weight", "ae/mse=1", *recipe))["out"])
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    alone = json.loads(invoke("evaluate", "--seed", "1", "--bootstrap", "0", *recipe))["results"]
    assert [result["system"] for result in alone] == ["ae/mse seed_1", "ae/mahalanobis seed_1"]
    second = json.loads(invoke("ensemble", "--seed", "1", *recipe))
    assert set(second["weights"]) == {"ae/mse seed_1", "ae/mahalanobis seed_1"}
    named = json.loads(invoke("ensemble", "--seed", "1", "--system", "mse", *recipe))
    assert len({str(first), second["out"], named["out"]}) == 3
    assert before == {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    for seed, out in (("0", str(first)), ("1", second["out"])):
        shown = json.loads(invoke("evaluate", "--seed", seed, "--bootstrap", "0", *recipe))["results"]
        assert shown[-1]["path"] == out


def test_scores_of_machines_and_sets_that_are_not_chosen_are_not_fused(tree: Path) -> None:
    """Score files of another machine that is not up to date lie beside those of the chosen one."""
    recipe = ("--root", tree, "--recipe", "baseline_ae", "--profile", "smoke", "--json")
    invoke("score", *recipe)
    (stale,) = tree.glob("scores/**/mse/seed_0/dev/anomaly_score_SynBearing_section_00_test.csv")
    stale.unlink()
    document = json.loads(invoke("ensemble", "--machine", "SynFan", *recipe))
    assert {path.name.split("_")[2] for path in Path(document["out"]).rglob("*.csv")} == {"SynFan"}
    document = json.loads(invoke("ensemble", "--set", "eval", *recipe))
    assert {path.name.split("_")[2] for path in Path(document["out"]).rglob("*.csv")} == {"SynPump"}


def test_a_part_of_many_machines_has_a_short_name() -> None:
    assert part_name("mine", ("fan", "valve")) == "mine.only-fan-valve"
    assert len(part_name("mine", [f"machine_{number}" for number in range(99)])) < 50


def test_fusing_one_machine_of_folders_leaves_the_fusion_of_all(scores: Path) -> None:
    whole = Path(json.loads(fuse("--root", "r", "--norm", "none", "--json"))["out"])
    one = Path(json.loads(fuse("--root", "r", "--norm", "none", "--machine", "fan", "--json"))["out"])
    assert (whole / "dev" / score_name(EDITION, Unit("valve", "00"))).is_file()
    assert [path.name for path in (one / "dev").glob("*.csv")] == [score_name(EDITION, Unit("fan", "00"))]


def test_the_fusion_of_other_folders_lies_elsewhere(scores: Path) -> None:
    shutil.copytree(scores / "two", scores / "three")
    first = json.loads(fuse("--norm", "none", "--json"))["out"]
    other = json.loads(invoke("ensemble", "one", "three", "--data", "dcase2023", "--norm", "none", "--json"))["out"]
    assert other != first
    assert (
        json.loads(invoke("ensemble", "two", "one", "--data", "dcase2023", "--norm", "none", "--json"))["out"] == first
    )


def test_a_score_of_a_part_of_the_files_is_called_so(scores: Path) -> None:
    document = json.loads(fuse("--norm", "none", "--out", "fused", "--json"))
    assert (document["partial"], document["missing"], document["set"]) == (True, [], "dev")
    shown = fuse("--norm", "none", "--out", "fused")
    assert "partial dev score, %" in shown
    assert "The dev score is partial and not an official one: it is of 2 of 7 machine types." in shown
    for name in ("one", "two"):
        for machine in EDITION.machines["dev"]:
            target = scores / name / score_name(EDITION, Unit(machine, "00"))
            if not target.exists():
                shutil.copy(scores / name / score_name(EDITION, Unit("fan", "00")), target)
    document = json.loads(fuse("--norm", "none", "--out", "fused", "--json"))
    assert document["partial"] is False
    assert "partial" not in fuse("--norm", "none", "--out", "fused")


def truth_of_vacuum(folder: Path) -> Path:
    rows = [("Vacuum", "00", clip, number % 2, "source") for number, clip in enumerate(EVAL_CLIPS)]
    write_truth(folder, EDITION, truth_from_clips(rows))
    return folder


def test_with_ground_truth_the_evaluation_set_has_a_score(scores: Path) -> None:
    """The same as asd evaluate gives, beside the score on the development set, which chooses the weights."""
    truth = truth_of_vacuum(scores / "truth")
    found = json.loads(fuse("--norm", "none", "--grid", "--out", "fused", "--truth", str(truth), "--json"))
    without = json.loads(fuse("--norm", "none", "--grid", "--out", "other", "--json"))
    assert {key: value for key, value in found.items() if key not in ("out", "eval")} == {
        key: value for key, value in without.items() if key != "out"
    }
    about = "--data", "dcase2023", "--truth", str(truth), "--set", "eval", "--bootstrap", "0", "--partial", "--json"
    for place, value in (("fused", found["eval"]["score"]), ("one", found["eval"]["systems"]["one"])):
        assert json.loads(invoke("evaluate", place, *about))["partial_score"] == pytest.approx(value, abs=1e-12)
    shown = fuse("--norm", "none", "--grid", "--out", "fused", "--truth", str(truth))
    assert "partial eval score, %" in shown
    assert "The eval score is partial and not an official one: it is of 1 of 7 machine types." in shown


def test_weights_may_be_searched_for_with_labels_of_the_evaluation_set(scores: Path) -> None:
    truth = truth_of_vacuum(scores / "truth")
    for name in ("one", "two"):
        for machine in ("fan", "valve"):
            (scores / name / score_name(EDITION, Unit(machine, "00"))).unlink()
    document = json.loads(fuse("--norm", "none", "--grid", "--out", "fused", "--truth", str(truth), "--json"))
    assert (document["set"], document["oracle"]) == ("eval", True)
    assert document["grid"] >= max(document["systems"].values())
    shown = fuse("--norm", "none", "--grid", "--out", "fused", "--truth", str(truth))
    assert "The weights were chosen with labels of the evaluation set, which no participant has." in shown


def test_a_fusion_that_was_made_with_ground_truth_is_made_again_with_it(tree: Path) -> None:
    rows = [("SynPump", "00", f"section_00_{n:04d}.wav", n // 4 % 2, ("source", "target")[n // 8]) for n in range(16)]
    write_truth(tree / "truth", load_edition("demo"), truth_from_clips(rows))
    arguments = "--root", str(tree), "--recipe", "baseline_ae", "--profile", "smoke"
    made = json.loads(invoke("ensemble", *arguments, "--truth", str(tree / "truth"), "--json"))
    place = Path(made["out"]) / "weights.yaml"
    before = place.stat().st_mtime_ns
    invoke("evaluate", *arguments, "--bootstrap", "0")
    assert place.stat().st_mtime_ns == before
    assert 0 < made["eval"]["score"] <= 1
