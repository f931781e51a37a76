"""`asd evaluate` over several systems and several seeds: one line each, the difference, and whether it is noise."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import clip_names, invoke

from asdcli.challenge.editions.edition import Edition, load_edition
from asdcli.challenge.editions.scorefiles import Unit, decision_name, read_values, score_name, units, write_values
from asdcli.challenge.editions.truth import truth_from_clips, write_truth
from asdcli.errors import UserError

EDITION = load_edition("dcase2023")
CLIPS = clip_names(40)
ANOMALOUS = np.array(["anomaly" in clip for clip in CLIPS])


@pytest.fixture(autouse=True)
def scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under weak/, as_weak/ and strong/ the scores of two seeds each; `part` has one machine less."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    noise = np.random.default_rng(0).normal(size=(2, len(CLIPS)))
    for number, (name, skill) in enumerate({"weak": 0.5, "as_weak": 0.5, "strong": 2.0}.items()):
        for seed in (0, 1):
            own = np.random.default_rng([number, seed]).normal(size=noise.shape)
            for index, machine in enumerate(("fan", "valve")):
                values = noise[index] + 0.5 * own[index] + skill * ANOMALOUS
                write_values(Path(name) / f"seed_{seed}" / score_name(EDITION, Unit(machine, "00")), CLIPS, values)
    write_values(Path("part") / score_name(EDITION, Unit("fan", "00")), CLIPS, noise[0])


def evaluate(*arguments: str) -> str:
    return invoke("evaluate", *arguments, "--data", "dcase2023", "--bootstrap", "200", "--partial")


def both(name: str) -> list[str]:
    return [f"{name}/seed_0", f"{name}/seed_1"]


def test_seeds_are_one_system_and_differences_have_a_verdict() -> None:
    document = json.loads(evaluate(*both("weak"), *both("as_weak"), *both("strong"), "--json"))
    assert len(document["results"]) == 6
    first, same, better = document["comparison"]
    scores = [result["partial_score"] for result in document["results"]]
    assert [entry["system"] for entry in document["comparison"]] == ["weak", "as_weak", "strong"]
    assert [entry["seeds"] for entry in document["comparison"]] == [2, 2, 2]
    assert (first["difference"], first["beyond_noise"]) == (None, None)
    assert better["score"] == pytest.approx(np.mean(scores[4:]))
    assert better["difference"] == pytest.approx(np.mean(scores[4:]) - np.mean(scores[:2]))
    assert better["difference_ci95"][0] > 0
    assert (same["beyond_noise"], better["beyond_noise"]) == (False, True)


def test_the_table() -> None:
    drawn = evaluate(*both("weak"), *both("strong"))
    assert "seeds" in drawn
    assert "beyond noise" in drawn
    assert drawn.count("Partial score") == 0, "with several seeds only the summary is drawn"
    assert "One training of each" not in drawn
    alone = evaluate("weak/seed_0", "strong/seed_0")
    assert alone.count("Partial score") == 2
    assert "One training of each: the noise is that of the test clips alone." in alone


def test_other_clips_are_not_compared() -> None:
    document = json.loads(evaluate("weak/seed_0", "part", "--json"))
    assert document["comparison"][1]["difference"] is None
    assert "beyond noise" not in evaluate("weak/seed_0", "part")


def test_one_machine_is_compared_alone() -> None:
    document = json.loads(evaluate("weak/seed_0", "part", "--machine", "fan", "--json"))
    assert list(document["machines"]) == ["fan"]
    assert document["comparison"][1]["difference"] is not None
    with pytest.raises(UserError, match="Known: fan"):
        evaluate("weak/seed_0", "part", "--machine", "valve")


def test_a_given_truth_is_for_the_evaluation_set_and_names_tell_of_the_development_set(tmp_path: Path) -> None:
    clips = [f"section_00_{index:04d}.wav" for index in range(40)]
    unit = Unit("Vacuum", "00")
    rows = [(unit.machine, unit.section, clip, i % 2, ("source", "target")[i // 2 % 2]) for i, clip in enumerate(clips)]
    write_truth(Path("truth"), EDITION, truth_from_clips(rows))
    write_values(Path("both/eval") / score_name(EDITION, unit), clips, np.arange(40) % 2)
    write_values(Path("both/dev") / score_name(EDITION, Unit("fan", "00")), CLIPS, ANOMALOUS.astype(int))
    document = json.loads(evaluate("both", "--truth", "truth", "--json"))
    assert [result["set"] for result in document["results"]] == ["dev", "eval"]
    assert [result["partial_score"] for result in document["results"]] == [1.0, 1.0]


def test_a_given_truth_about_the_development_clips_is_taken() -> None:
    """As for own recordings whose names do not tell."""
    Path("asd_work/data/hall").mkdir(parents=True)
    clips = [f"{index}.wav" for index in range(9)]
    write_values(Path("mine/dev/anomaly_score_pump_section_00_test.csv"), clips, np.arange(9) % 2)
    write_values(Path("truth/ground_truth_pump_section_00_test.csv"), clips, np.arange(9) % 2)
    document = json.loads(invoke("evaluate", "mine", "--data", "hall", "--truth", "truth", "--json"))
    assert document["official_score"] == 1.0


@pytest.fixture
def whole(scores: None) -> Path:
    """Scores and decisions of the whole development set."""
    rng = np.random.default_rng(0)
    for unit in units(EDITION, "dev"):
        write_values(Path("whole") / score_name(EDITION, unit), CLIPS, rng.normal(size=len(CLIPS)) + ANOMALOUS)
        write_values(Path("whole") / decision_name(EDITION, unit), CLIPS, rng.integers(0, 2, len(CLIPS)))
    return Path("whole")


def official(*arguments: str) -> str:
    return invoke("evaluate", "whole", "--data", "dcase2023", "--bootstrap", "50", *arguments)


@pytest.mark.parametrize("kind", [score_name, decision_name])
def test_without_a_file_there_is_no_official_score(whole: Path, kind: Callable[[Edition, Unit], str]) -> None:
    unit = Unit("fan", "00")
    before = json.loads(official("--json"))
    (whole / kind(EDITION, unit)).unlink()
    after = json.loads(official("--json"))
    assert before["complete"]
    assert before["official_score"] > 0
    assert (after["official_score"], after["ci95"], after["complete"]) == (None, None, False)
    moved = "precision" if kind is decision_name else "auc"
    assert after["harmonic_mean"][moved] is after["arithmetic_mean"][moved] is None
    assert after["machines"]["valve"] == before["machines"]["valve"]
    drawn = official()
    assert "No official score: 1" in drawn
    assert "file is missing (fan section 00)" in drawn
    assert "Official score" not in drawn
    part = json.loads(official("--partial", "--json"))
    assert part["official_score"] is None
    assert part["partial_score"] > 0
    assert part["complete"] is False
    assert "Partial score: " in official("--partial")


def test_a_section_that_is_missing_takes_the_means_of_its_machine_away() -> None:
    edition = load_edition("dcase2022")
    for section in ("00", "01"):
        clips = [clip.replace("section_00", f"section_{section}") for clip in CLIPS]
        write_values(Path("two") / score_name(edition, Unit("fan", section)), clips, np.arange(len(CLIPS)))
    arguments = ("evaluate", "two", "--data", "dcase2022", "--bootstrap", "0")
    fan = json.loads(invoke(*arguments, "--json"))["machines"]["fan"]
    assert fan["hmean"] is fan["auc_source"] is fan["separability"] is None
    assert fan["complete"] is False
    assert fan["sections"]["00"]["auc_source"] > 0
    assert "mean of a part" in invoke(*arguments, "--partial")


def test_some_machines_by_choice_have_a_score_that_is_not_called_official(whole: Path) -> None:
    document = json.loads(official("--machine", "fan", "--machine", "valve", "--json"))
    assert document["official_score"] is None
    assert document["partial_score"] > 0
    assert document["missing"] == []
    assert len(document["left_out"]) == 5
    assert "bearing, gearbox, slider, ToyCar, ToyTrain were left out" in official("-m", "fan", "-m", "valve")


def test_a_system_with_a_file_less_is_not_compared(whole: Path) -> None:
    shutil.copytree(whole, "less")
    (Path("less") / score_name(EDITION, Unit("fan", "00"))).unlink()
    comparison = json.loads(official("less", "--json"))["comparison"]
    assert [entry["score"] is None for entry in comparison] == [False, True]
    assert comparison[1]["difference"] is None
    partial = json.loads(official("less", "--partial", "--json"))["comparison"]
    assert [entry["partial"] for entry in partial] == [False, True]
    assert "less (partial)" in official("less", "--partial")


@pytest.mark.filterwarnings("error")
def test_scores_of_any_size_are_evaluated(whole: Path) -> None:
    unit = Unit("fan", "00")
    before = json.loads(official("--json"))["machines"]["fan"]["sections"]["00"]
    names, values = read_values(whole / score_name(EDITION, unit))
    write_values(whole / score_name(EDITION, unit), names, values * 1e307)
    after = json.loads(official("--json"))["machines"]["fan"]["sections"]["00"]
    assert after["auc_source"] == before["auc_source"]
    assert "inf" not in official()


def test_systems_of_one_name_are_called_by_their_path(whole: Path) -> None:
    for place in ("one/run/scores", "two/run/scores", "three/scores"):
        shutil.copytree(whole, place)
    results = json.loads(official("one/run/scores", "two/run/scores", "three/scores", "--json"))["results"]
    names = [result["system"] for result in results]
    assert names == ["whole", "one/run/scores", "two/run/scores", "three/scores"]
    with pytest.raises(UserError, match="one/run/scores is given twice"):
        official("one/run/scores", "one/run/scores")
    fused = json.loads(
        invoke("ensemble", "one/run/scores", "two/run/scores", "--norm", "none", "--data", "dcase2023", "--json")
    )
    assert fused["weights"] == {"one/run/scores": 0.5, "two/run/scores": 0.5}


@pytest.mark.parametrize("option", [("--seed", "1"), ("--member", "ae"), ("--recipe", "padim"), ("--profile", "smoke")])
@pytest.mark.parametrize("command", ["evaluate", "ensemble"])
def test_options_about_recipes_are_refused_with_folders(whole: Path, command: str, option: tuple[str, str]) -> None:
    with pytest.raises(UserError, match=f"{option[0]} is about a recipe's results"):
        invoke(command, "whole", "--data", "dcase2023", *option)


def eval_scores(folder: Path, machines: tuple[str, ...]) -> dict[str, Path]:
    """Scores of some machines' evaluation clips in `scores/`, and the ground truth of each in a folder of its own."""
    clips = [f"section_00_{number:04d}.wav" for number in range(80)]
    truth = {}
    for machine in machines:
        unit = Unit(machine, "00")
        values = np.random.default_rng(3).normal(size=80) + 2 * ANOMALOUS[:80]
        write_values(folder / "scores" / score_name(EDITION, unit), clips, values)
        rows = [
            (machine, "00", clip, int("anomaly" in known), known.split("_")[2])
            for clip, known in zip(clips, CLIPS, strict=False)
        ]
        truth[machine] = folder / f"truth_{machine}"
        write_truth(truth[machine], EDITION, truth_from_clips(rows))
    return truth


def test_ground_truth_in_several_places_and_of_a_part_of_the_machines(tmp_path: Path) -> None:
    machines = tuple(EDITION.machines["eval"])
    truth = eval_scores(tmp_path, machines)
    every = [word for place in truth.values() for word in ("--truth", str(place))]
    command = "evaluate", str(tmp_path / "scores"), "--data", "dcase2023", "--bootstrap", "0"
    whole = json.loads(invoke(*command, *every, "--json"))
    assert (whole["complete"], whole["unlabelled"]) == (True, [])
    assert whole["official_score"] == pytest.approx(whole["machines"][machines[0]]["hmean"])  # the same scores
    part = json.loads(invoke(*command, *every[:-2], "--json"))
    assert part["official_score"] is None
    assert part["unlabelled"] == [f"{machines[-1]} section 00"]
    said = invoke(*command, *every[:-2])
    assert f"No official score: 1 score file has no ground truth ({machines[-1]} section 00)." in said
    partial = json.loads(invoke(*command, *every[:-2], "--partial", "--json"))
    assert partial["partial_score"] == pytest.approx(whole["official_score"])


def test_ground_truth_in_a_zip_of_a_repository(tmp_path: Path) -> None:
    machines = tuple(EDITION.machines["eval"])
    truth = eval_scores(tmp_path, machines)
    for place in truth.values():
        shutil.copytree(place, tmp_path / "zip/dcase2023_task2_evaluator-main", dirs_exist_ok=True)
    archive = shutil.make_archive(str(tmp_path / "main"), "zip", tmp_path / "zip")
    command = "evaluate", str(tmp_path / "scores"), "--data", "dcase2023", "--bootstrap", "0", "--json"
    assert json.loads(invoke(*command, "--truth", archive))["complete"]
    other = shutil.make_archive(str(tmp_path / "other"), "zip", tmp_path / "scores")
    with pytest.raises(UserError, match=r"other.zip holds no ground truth of dcase2023"):
        invoke(*command, "--truth", other)


def decided(name: str, right: int) -> None:
    """Decisions of `fan` and `valve` in a folder: so many of the 160 clips are right, the others wrong."""
    for machine in ("fan", "valve"):
        truth = ANOMALOUS.astype(int)
        decisions = np.where(np.arange(len(CLIPS)) < right, truth, 1 - truth)
        write_values(Path(name) / "seed_0" / decision_name(EDITION, Unit(machine, "00")), CLIPS, decisions)


def test_precision_recall_and_f1_of_several_systems() -> None:
    decided("weak", right=160)
    decided("strong", right=80)  # all of the source domain, none of the target domain
    document = json.loads(evaluate("weak/seed_0", "strong/seed_0", "as_weak/seed_0", "--json"))
    first, second, none = (entry["decisions"] for entry in document["comparison"])
    assert set(first.values()) == {1.0}
    assert (second["precision_source"], second["f1_source"]) == (1.0, 1.0)
    assert second["f1_target"] == pytest.approx(0, abs=1e-12)
    assert none == {}
    shown = evaluate("weak/seed_0", "strong/seed_0", "as_weak/seed_0")
    table = shown[shown.index("dcase2023: decisions, means in %") :]
    assert "precision source" in table
    assert "100.00" in next(line for line in table.splitlines() if "│ weak" in line)
    assert "│ as_weak" not in table


def test_a_machine_with_one_section_stands_once_and_separability_is_no_per_cent() -> None:
    shown = evaluate("weak/seed_0")
    (row,) = [line for line in shown.splitlines() if "│ fan" in line]
    assert "│ mean" not in shown
    document = json.loads(evaluate("weak/seed_0", "--json"))["machines"]["fan"]
    for value in (document["sections"]["00"]["auc_all"], document["hmean"]):
        assert f"{100 * value:.2f}" in row
    assert f"{document['separability']:.3g}" in row
    assert "in % but for the separability" in shown
    assert "Separability: mean score of the anomalous clips minus that of the normal ones" in shown


def test_a_machine_with_several_sections_has_a_row_of_means(tmp_path: Path) -> None:
    edition = load_edition("dcase2022")
    for section in ("00", "01"):
        clips = [clip.replace("section_00", f"section_{section}") for clip in CLIPS]
        write_values(tmp_path / "two" / score_name(edition, Unit("fan", section)), clips, ANOMALOUS + 0.0)
    shown = invoke("evaluate", "two", "--data", "dcase2022", "--bootstrap", "0", "--partial")
    assert [line.split()[3] for line in shown.splitlines() if "│ fan" in line] == ["00", "01", "mean"]
