"""`asd package-submission` of a recipe's ensemble: what its meta file counts, and what is said of the scores."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import invoke
from typer.testing import CliRunner

from asdcli.challenge.editions.edition import load_edition
from asdcli.challenge.editions.scorefiles import decision_name, score_name, units, write_values
from asdcli.challenge.editions.truth import truth_from_clips, write_truth
from asdcli.cli.app import app, hoist_globals
from asdcli.errors import UserError
from asdcli.recipe.loading import RECIPES
from asdcli.scores.folders import ScoreFolder
from asdcli.stages.package import ensemble_facts
from asdcli.stages.selection import select
from asdcli.ui import Ui
from asdcli.workspace.made import Made
from asdcli.workspace.places import Workspace

WHO = ("--label", "Example_UNI_task2_1", "--author", "Erin Example <erin@example.org>, Example University, Sampletown")


@pytest.fixture
def recipe(tree: Path, tmp_path: Path) -> tuple[str | Path, ...]:
    """Options for a recipe with a small and a wide auto-encoder."""
    shutil.copytree(RECIPES / "baseline_ae", tmp_path / "mine")
    path = tmp_path / "mine" / "recipe.yaml"
    text = path.read_text().replace("  ae: {}\n", "  ae: {}\n  wide: {model: {bottleneck: 16}}\n")
    path.write_text(text)
    return "--root", tree, "--recipe", path.parent, "--profile", "smoke"


def packaged(*arguments: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The document of the command, and the meta file in the package."""
    document = json.loads(invoke("package-submission", *WHO, *arguments, "--json"))
    with zipfile.ZipFile(document["path"]) as package:
        (name,) = [name for name in package.namelist() if name.endswith("meta.yaml")]
        return document, yaml.safe_load(package.read(name))


def test_only_members_with_a_weight_are_counted(recipe: tuple[str | Path, ...]) -> None:
    counts = []
    for weights in (["ae/mse=1"], ["wide/mse=1"], ["ae/mse=1", "wide/mse=1"]):
        invoke("ensemble", *recipe, *(word for weight in weights for word in ("--weight", weight)))
        system = packaged(*recipe)[1]["system"]
        sizes = system["description"]["ensemble_method_subsystem_count"]
        counts.append((*(system["complexity"][key] for key in ("total_parameters", "MACS")), sizes))
    small, wide, both = counts
    assert small[0] < wide[0]
    assert both == (small[0] + wide[0], small[1] + wide[1], 2)
    assert small[2] is None


def test_scores_of_another_profile_are_called_so(
    recipe: tuple[str | Path, ...], tree: Path, tmp_path: Path, asd: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """Of the recipe's ensemble, of score folders, and of what was fused from these elsewhere."""
    folders = [tree / f"scores/mine@smoke/demo/{member}/mse/seed_0" for member in ("ae", "wide")]
    assert packaged(*recipe)[0]["profiles"] == ["smoke"]
    invoke("ensemble", "--root", tree, *folders, "--out", tmp_path / "fused")
    given = "--root", tree, "--data", "demo"
    for path in (folders[0], tmp_path / "fused"):
        assert packaged(path, *given)[0]["profiles"] == ["smoke"]
    shutil.copytree(folders[0], tmp_path / "elsewhere")
    assert packaged(tmp_path / "elsewhere", *given)[0]["profiles"] == []
    done = asd("package-submission", *WHO, folders[0], *given)
    assert "These are scores of profile smoke and not of the full recipe." in done.stderr
    assert "The package is valid, but of profile smoke." in done.stdout


def test_a_fusion_of_one_member_leaves_that_of_all_and_its_weights(recipe: tuple[str | Path, ...]) -> None:
    invoke("ensemble", *recipe, "--weight", "wide/mse=1")
    before = packaged(*recipe)[1]
    invoke("ensemble", *recipe, "--member", "ae")
    assert packaged(*recipe)[1] == before


def official(folder: Path, name: str, first: str = "section_00_0000.wav") -> tuple[Path, Path]:
    """Scores of every file of an edition's evaluation set, 200 clips each, and ground truth of the same clips."""
    edition = load_edition(name)
    clips = [f"section_00_{number:04d}.wav" for number in range(200)]
    rows = []
    for unit in units(edition, "eval"):
        rows += [(unit.machine, unit.section, clip, number % 2, "source") for number, clip in enumerate(clips)]
        scores = folder / f"scores_{name}"
        write_values(scores / score_name(edition, unit), [first, *clips[1:]], range(200))
        write_values(scores / decision_name(edition, unit), [first, *clips[1:]], [n % 2 for n in range(200)])
    write_truth(folder / f"truth_{name}", edition, truth_from_clips(rows))
    return scores, folder / f"truth_{name}"


def test_clip_names_are_compared_with_the_truth_that_is_named_or_downloaded(tmp_path: Path) -> None:
    scores, truth = official(tmp_path, "dcase2024", first="section_00_9999.wav")
    about = (*WHO, scores, "--root", tmp_path / "root", "--data", "dcase2024", "--parameters", "1")
    made = json.loads(invoke("package-submission", *about, "--json"))
    every = [str(unit) for unit in units(load_edition("dcase2024"), "eval")]
    assert made["clip_names"] == {"compared_with": [], "checked_by_form_and_number": every}
    check = "package-submission", "--check", made["path"], "--root", tmp_path / "root"
    said = invoke(*check)
    assert "Clip names: only their form and number were checked, since no list of the evaluation clips" in said
    assert "The package is valid." in said
    assert "such files)" in invoke(*check, "--truth", truth)
    (tmp_path / "part/ground_truth_data").mkdir(parents=True)
    known = truth / "ground_truth_data/ground_truth_Scanner_section_00_test.csv"
    shutil.copy(known, tmp_path / "part/ground_truth_data")
    shutil.copytree(truth, tmp_path / "root/data/dcase2024/truth")
    for place in (("--truth", tmp_path / "part"), ()):
        found = CliRunner().invoke(app, hoist_globals([str(word) for word in (*check, *place)]))
        assert found.exit_code == 1
        assert "clip 'section_00_0000.wav' is missing (18 such files)" in found.stdout
        assert f"the ground truth in {tmp_path / 'root/data/dcase2024/truth'}." in found.stdout.replace("\n", "")
    shutil.rmtree(tmp_path / "root/data/dcase2024/truth")
    found = CliRunner().invoke(app, hoist_globals([str(word) for word in (*check, "--truth", tmp_path / "part")]))
    assert f"compared with {tmp_path / 'part'}. Of 8 files (3DPrinter section 00, AirCompressor" in found.stdout
    assert "clip 'section_00_0000.wav' is missing (2 such files)" in found.stdout


def test_a_package_of_another_edition_is_not_written_over(tmp_path: Path) -> None:
    root, (scores, _), (others, _) = tmp_path / "root", official(tmp_path, "dcase2024"), official(tmp_path, "dcase2026")
    about = *WHO, "--root", root, "--parameters", "1"
    made = Path(json.loads(invoke("package-submission", *about, scores, "--data", "dcase2024", "--json"))["path"])
    before = made.read_bytes()
    with pytest.raises(UserError, match=r"Example_UNI.zip is a package of dcase2024, and one of dcase2026 would"):
        invoke("package-submission", *about, others, "--data", "dcase2026")
    assert made.read_bytes() == before
    invoke("package-submission", *about, scores, "--data", "dcase2024", "--name", "Another")
    assert made.read_bytes() != before


def test_published_weights_stand_in_the_meta_file(tree: Path, tmp_path: Path) -> None:
    """Of members that count in the fusion, and of no others."""
    selection = select(Workspace(tree), Ui(), recipe="padim", device="cpu")  # nothing is computed or fetched
    for member, expected in (("random", []), ("imagenet", ["https://docs.pytorch.org/vision/stable/models.html"])):
        Made(tmp_path / member).write("", [], weights={f"{member}/per_position": 1.0})
        facts = ensemble_facts(selection, ScoreFolder(member, tmp_path / member, {}, {}, {}))
        assert [url for _, url in facts.external_datasets] == expected
        usage = facts.description and facts.description.get("external_data_usage")
        assert usage == ("pre-trained model" if expected else None)
