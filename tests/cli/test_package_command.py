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

from asdcli.recipe.loading import RECIPES

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
        counts.append(packaged(*recipe)[1]["system"]["complexity"]["total_parameters"])
    small, wide, both = counts
    assert small < wide
    assert both == small + wide


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
