"""Machines' files beside a recipe: which are used, and what is said of the others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from helpers import invoke

from asdcli.recipe.loading import RECIPES
from asdcli.stages.runs import find_runs
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


OVERLAY = "phases: {train: {batch_size: 32}}\nthreshold: {quantile: 0.5}\n"


def with_scope(mine: Path, scope: str) -> None:
    path = mine / "recipe.yaml"
    path.write_text(path.read_text().replace("scope: machine", f"scope: {scope}"))


@pytest.mark.parametrize(("scope", "batch_size"), [("machine", 32), ("all", 256)])
def test_a_recipe_is_shown_as_it_runs_for_a_machine(tree: Path, mine: Path, scope: str, batch_size: int) -> None:
    """Where all machines share one network, only detectors and thresholds are a machine's own."""
    with_scope(mine, scope)
    (mine / "SynFan.yaml").write_text(OVERLAY)
    shown = yaml.safe_load(invoke("recipes", "show", mine, "--machine", "SynFan", "--root", tree))
    assert shown["phases"]["train"]["batch_size"] == batch_size
    assert shown["threshold"]["quantile"] == 0.5
    selection = select(Workspace(tree), Ui(), recipe=str(mine), machines=["SynFan"])
    (run,) = find_runs(selection)
    assert run.method.phases["train"].batch_size == batch_size
    assert selection.method("ae", "SynFan").model_dump() == {
        **run.method.model_dump(),
        "threshold": selection.method("ae", "SynFan").threshold.model_dump(),
    }


@pytest.mark.parametrize(
    ("scope", "overlay", "words"),
    [
        ("machine", OVERLAY, []),
        ("all", "threshold: {quantile: 0.5}", []),
        ("all", OVERLAY, ["SynFan.yaml: phases is not used: all machines share one network (scope: all)."]),
        ("all", "scope: machine\nchannel: 0\nlabels: [domain]", ["SynFan.yaml: scope and labels are not used"]),
        ("machine", "scope: all", ["SynFan.yaml: scope is not used: it is for all machines"]),
    ],
)
def test_what_of_a_machines_file_is_not_used_is_said(
    tree: Path, mine: Path, scope: str, overlay: str, words: list[str]
) -> None:
    with_scope(mine, scope)
    (mine / "SynFan.yaml").write_text(overlay)
    said = warnings(tree, mine)
    assert len(said) == len(words)
    assert all(word in text for word, text in zip(words, said, strict=True))
    assert warnings(tree, mine, machines=["SynPump"]) == []
