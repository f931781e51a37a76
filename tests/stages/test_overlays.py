"""Machines' files beside a recipe: which are used, and what is said of the others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from asdcli.recipe.loading import RECIPES
from asdcli.stages.selection import select
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace


class Warned(Ui):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RECIPES / "baseline_ae", tmp_path / "mine"))


def warnings(tree: Path, recipe: Path, **chosen: object) -> list[str]:
    ui = Warned()
    select(Workspace(tree), ui, recipe=str(recipe), profile="smoke", data="demo", **chosen)  # type: ignore[arg-type]
    return ui.warnings


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SynFna.yaml", "SynFna.yaml is not used: no machine is called 'SynFna'. Did you mean 'SynFan'?"),
        ("SynFan.yml", "SynFan.yml is not used: what a recipe says of SynFan stands in SynFan.yaml."),
        ("Recipe.yaml", "Recipe.yaml is not used: no machine is called 'Recipe'."),
    ],
)
def test_a_file_of_no_machine_is_said(tree: Path, mine: Path, name: str, words: str) -> None:
    (mine / name).write_text("phases: {train: {batch_size: 32}}\n")
    (said,) = warnings(tree, mine)
    assert words in said
    assert str(mine) in said


@pytest.mark.parametrize("name", ["SynFan.yaml", "SynPump.yaml", "ToyCar.yaml", "press.yaml", "notes.txt", ".x.yaml"])
def test_files_of_machines_here_and_of_other_editions_may_lie_there(tree: Path, mine: Path, name: str) -> None:
    """SynPump is in the other set, ToyCar in no data here, press in another data set here."""
    (tree / "data" / "own" / "dev_data" / "raw" / "press").mkdir(parents=True)
    (mine / name).write_text("phases: {train: {batch_size: 32}}\n")
    assert warnings(tree, mine, set_name="dev") == []
