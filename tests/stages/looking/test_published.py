"""Our results beside the published ones, and whether they are about the same data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import invoke
from sklearn.metrics import roc_auc_score

from asdcli.challenge.editions.edition import load_edition
from asdcli.challenge.editions.scorefiles import Unit, score_name, units, write_values
from asdcli.challenge.editions.truth import truth_from_clips, write_truth
from asdcli.recipe.loading import load_recipe
from asdcli.scores.folders import open_score_folder
from asdcli.stages import evaluate
from asdcli.stages.looking.published import compare
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

EDITION = load_edition("dcase2024")
CLIPS = [f"section_00_{index:04d}.wav" for index in range(200)]


def result(root: Path, chosen: list[Unit], clips: int = 200) -> evaluate.Result:
    """`ae/mse` of `baseline_ae` with random scores on some machines of the evaluation set."""
    workspace, rng = Workspace(root), np.random.default_rng(0)
    folder = workspace.scores("baseline_ae", "dcase2024", "ae", "mse", 0)
    for unit in chosen:
        write_values(folder / "eval" / score_name(EDITION, unit), CLIPS[:clips], rng.random(clips))
    rows = [
        (unit.machine, "00", clip, index % 2, ("source", "target")[index // 2 % 2])
        for unit in chosen
        for index, clip in enumerate(CLIPS[:clips])
    ]
    write_truth(workspace.truth("dcase2024"), EDITION, truth_from_clips(rows))
    opened = open_score_folder(workspace, Ui(), folder, EDITION)
    (found,) = evaluate.run(workspace, Ui(), EDITION, [opened])
    return found


def test_a_whole_set_is_compared_with_the_table_of_its_system(tmp_path: Path) -> None:
    found = result(tmp_path, units(EDITION, "eval"))
    (comparison,) = compare(load_recipe("baseline_ae"), EDITION, [found])
    assert comparison.system == "mse"
    assert comparison.official == (0.5651, found.evaluation.official_score)
    ours = {(machine, metric): value for machine, metric, _, value in comparison.rows}
    assert ours["Scanner", "pauc"] == pytest.approx(found.evaluation.machines["Scanner"].sections["00"].metrics["pauc"])
    assert len(ours) == 27
    assert comparison.data.startswith("The same test data")


def test_some_machines_are_not_the_same_data(tmp_path: Path) -> None:
    found = result(tmp_path, units(EDITION, "eval")[:2])
    (comparison,) = compare(load_recipe("baseline_ae"), EDITION, [found])
    assert comparison.data.startswith("Not the same data: 2 sections are scored here, 7 files")
    assert sum(ours is None for *_, ours in comparison.rows) == 21


def test_fewer_clips_are_not_the_same_data(tmp_path: Path) -> None:
    found = result(tmp_path, units(EDITION, "eval"), clips=40)
    (comparison,) = compare(load_recipe("baseline_ae"), EDITION, [found])
    assert "has 40 test clips here, and 200 in dcase2024" in comparison.data


def test_an_auc_over_both_domains_and_the_separability(tmp_path: Path) -> None:
    """The study of 2026 printed them for the one section of bearingEmu; official means do not hold them."""
    edition, rng = load_edition("dcase2026"), np.random.default_rng(0)
    clips = [
        f"section_00_{domain}_test_{label}_{index:04d}_noAttribute.wav"
        for domain in ("source", "target")
        for label in ("normal", "anomaly")
        for index in range(50)
    ]
    workspace, labels = Workspace(tmp_path), np.array(["anomaly" in clip for clip in clips])
    folder, scores = workspace.scores("dense_ae", "dcase2026", "ae", "mse", 0), rng.random(200) + 0.1 * labels
    write_values(folder / "dev" / score_name(edition, Unit("bearingEmu", "00")), clips, scores)
    (found,) = evaluate.run(workspace, Ui(), edition, [open_score_folder(workspace, Ui(), folder, edition)])
    (comparison,) = compare(load_recipe("dense_ae"), edition, [found])
    found_here = {metric: (printed, ours) for _, metric, printed, ours in comparison.rows}
    assert found_here.keys() == {"auc_all", "pauc", "separability"}
    assert found_here["auc_all"] == (0.5659, pytest.approx(roc_auc_score(labels, scores), abs=1e-9))
    apart = scores[labels].mean() - scores[~labels].mean()
    assert found_here["separability"] == (0.0255, pytest.approx(apart, abs=1e-9))
    shown = invoke("evaluate", "--root", tmp_path, folder, "--recipe", "dense_ae", "--against-published")
    (line,) = [line for line in shown.splitlines() if "separability" in line and "0.0255" in line]
    assert f"{apart:.3g}" in line
    assert f"{apart - 0.0255:+.3g}" in line


def test_a_separability_that_does_not_exist_is_none(tmp_path: Path) -> None:
    edition = load_edition("dcase2026")
    clips = [f"section_00_source_test_normal_{index:04d}_noAttribute.wav" for index in range(9)]
    workspace = Workspace(tmp_path)
    folder = workspace.scores("dense_ae", "dcase2026", "ae", "mse", 0)
    write_values(folder / "dev" / score_name(edition, Unit("bearingEmu", "00")), clips, range(9))
    (found,) = evaluate.run(workspace, Ui(), edition, [open_score_folder(workspace, Ui(), folder, edition)])
    (comparison,) = compare(load_recipe("dense_ae"), edition, [found])
    assert {ours for *_, ours in comparison.rows} == {None}


def test_baseline_rows_of_reports_are_compared_beside_those_of_the_readmes(tmp_path: Path) -> None:
    """Of 2021 with seven machines; of 2022 also one without machines, of which the official score is all there is."""
    rng = np.random.default_rng(0)
    for name, machines in (("dcase2021", [2, 7]), ("dcase2022", [2, 0, 7])):
        edition, workspace = load_edition(name), Workspace(tmp_path)
        folder = workspace.scores("baseline_mobilenetv2", name, "mobilenetv2", "log_odds", 0)
        for unit in units(edition, "dev"):
            domains = (unit.domain,) if unit.domain else ("source", "target")
            clips = [
                f"section_{unit.section}_{domain}_test_{label}_{index:04d}.wav"
                for domain in domains
                for label in ("normal", "anomaly")
                for index in range(5)
            ]
            write_values(folder / "dev" / score_name(edition, unit), clips, rng.random(len(clips)))
        (found,) = evaluate.run(workspace, Ui(), edition, [open_score_folder(workspace, Ui(), folder, edition)])
        comparisons = compare(load_recipe("baseline_mobilenetv2"), edition, [found])
        assert [len({row[0] for row in comparison.rows}) for comparison in comparisons] == machines
        assert all(ours is not None for comparison in comparisons for *_, ours in comparison.rows)
    assert comparisons[1].official == (0.5665, found.evaluation.official_score)
    recipe = ("--recipe", "baseline_mobilenetv2", "--against-published")
    shown = invoke("evaluate", "--root", tmp_path, folder, *recipe)
    assert "Official score: published 56.65, ours" in shown


def test_other_systems_have_no_table(tmp_path: Path) -> None:
    found = result(tmp_path, units(EDITION, "eval"))
    assert compare(load_recipe("arcface_ensemble"), EDITION, [found]) == []
