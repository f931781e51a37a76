"""Components in files beside a recipe: the examples of docs/extending.md run, and what is wrong with a file is said."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import REPOSITORY, invoke

from asdcli.errors import UserError
from asdcli.recipe.plugins import CONTRACTS, Plugin
from asdcli.stages.looking import anomaly_map
from asdcli.stages.looking.describe import named
from asdcli.stages.looking.run_list import litter
from asdcli.stages.runs import find_runs
from asdcli.stages.selection import Selection, select
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

BLOCK = re.compile(r"```\w+\n# (\S+)\n(.*?)```", re.DOTALL)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """The folder that docs/extending.md describes."""
    folder = tmp_path / "my_recipe"
    folder.mkdir()
    for name, text in BLOCK.findall((REPOSITORY / "docs" / "extending.md").read_text()):
        (folder / name).write_text(text)
    return folder


def chosen(tree: Path, recipe: Path, ui: Ui | None = None) -> Selection:
    return select(Workspace(tree), ui or Ui(), recipe=str(recipe), device="cpu")


def run_names(tree: Path, recipe: Path) -> list[str]:
    return [run.folder.name for run in find_runs(chosen(tree, recipe))]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_examples_of_the_documentation_run(
    asd: Callable[..., subprocess.CompletedProcess[str]], tree: Path, recipe: Path
) -> None:
    first = asd("--root", tree, "evaluate", "--recipe", recipe, "--data", "demo")
    assert "net/nearest" in first.stdout
    assert all(str(recipe / name) in first.stderr.replace("\n", "") for name in ("my_net.py", "my_detector.py"))
    assert not list(recipe.rglob("__pycache__")), "a compiled copy is told from its source by whole seconds alone"
    done = json.loads(asd("--root", tree, "score", "--recipe", recipe, "--data", "demo", "--json").stdout)["done"]
    assert done
    assert all(entry["fresh"] for entry in done)


def test_a_run_is_of_the_code_and_of_what_it_imports(tree: Path, recipe: Path) -> None:
    before = run_names(tree, recipe)
    edit(recipe / "my_net.py", '"""Windows', '"""My windows')
    assert run_names(tree, recipe) == before, "a docstring is no code"
    edit(recipe / "my_detector.py", ".min(1)", ".max(1)")
    assert run_names(tree, recipe) == before, "a detector does not train"
    moved = recipe.rename(recipe.with_name("elsewhere")).rename(recipe.parent / "deep") / "."
    shutil.copytree(moved, recipe)
    assert run_names(tree, recipe) == before
    edit(recipe / "my_layers.py", "nn.ReLU()", "nn.GELU()")
    layers = run_names(tree, recipe)
    assert not {*layers} & {*before}
    edit(recipe / "my_frontend.py", "1e-6", "1e-5")
    assert not {*run_names(tree, recipe)} & {*layers}


def test_an_edited_file_is_run_anew_in_the_same_process(tree: Path, recipe: Path) -> None:
    method = chosen(tree, recipe).method("net", None)
    plugin = next(each.plugin for path, _, each in named(method) if path == ("model",))
    assert plugin is not None
    first = plugin.load("model")((8, 16))
    assert plugin.load("model") is type(first)
    edit(recipe / "my_layers.py", "nn.ReLU()", "nn.Tanh()")  # of the same length
    assert "Tanh" in str(plugin.load("model")((8, 16)))
    assert "Tanh" not in str(first)


def test_show_and_runs_do_not_execute_it(tree: Path, recipe: Path) -> None:
    (recipe / "my_net.py").write_text("raise SystemExit('run!')\n\nclass SmallNet: ...\n")
    shown = invoke("recipes", "show", recipe)
    assert "./my_net.py:SmallNet" in shown
    assert "width: 32" in shown


def test_a_run_whose_code_is_not_known_is_listed_as_such_and_kept(tree: Path, recipe: Path) -> None:
    invoke("--root", tree, "train", "--recipe", recipe, "--data", "demo", "--machine", "SynFan")

    def listed() -> list[tuple[str, str]]:
        return [(run["state"], run["why"]) for run in json.loads(invoke("--root", tree, "runs", "--json"))]

    assert listed() == [("fresh", "")]
    (tree / ".checked.json").unlink()
    ((state, why),) = listed()
    assert state == "not checked"
    assert "is not run to list it" in why
    assert [each for each in litter(Workspace(tree)) if each.what == "run"] == []


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        ("recipe.yaml", "SmallNet", "SmalNet", "has no class or function 'SmalNet'. Did you mean 'SmallNet'?"),
        ("recipe.yaml", "./my_net.py", "./your_net.py", "your_net.py: No such file"),
        ("recipe.yaml", "width: 32", "widht: 32", "has no 'widht'. Did you mean 'width'? It takes: width"),
        ("recipe.yaml", "width: 32", "width: wide", "'wide' is not possible here"),
        ("my_net.py", "return self", "retrun self", "my_net.py:14: this is no Python"),
        (
            "my_net.py",
            "from my_layers",
            "from my_layer",
            "my_net.py:1: ModuleNotFoundError: No module named 'my_layer'",
        ),
        ("my_layers.py", "from torch import nn", "x = 1 / 0", "my_layers.py:1: ZeroDivisionError"),
        ("my_net.py", "*, width: int", "width: int", "so its parameters are (input_shape, *, ...)"),
        ("my_net.py", "width: int = 64", "width=64", "its parameter 'width' needs a type"),
        ("my_detector.py", "def score_bank", "def score_banks", "is used as a detector, but has no 'score_bank'"),
        ("my_frontend.py", "self.n_features", "self.features", "is used as a front end, but has no 'n_features'"),
        ("my_loss.py", "(Task)", "(nn.Module)", "is used as a task, but has no 'learns_from_whole_clips'"),
    ],
)
def test_what_is_wrong_is_said(tree: Path, recipe: Path, file: str, old: str, new: str, sentence: str) -> None:
    edit(recipe / file, old, new)
    with pytest.raises(UserError) as caught:
        chosen(tree, recipe)
    assert sentence in str(caught.value)
    assert "recipe.yaml, line" in str(caught.value)


def test_two_recipes_may_have_local_modules_of_one_name(tree: Path, recipe: Path) -> None:
    other = shutil.copytree(recipe, recipe.with_name("other"))
    edit(other / "my_layers.py", "nn.ReLU()", "nn.Tanh()")
    assert run_names(tree, recipe) != run_names(tree, other)
    nets = [Plugin(folder / "my_net.py", "SmallNet").load("model")((8, 16)) for folder in (recipe, other)]
    assert ["Tanh" in str(net) for net in nets] == [False, True]


def test_every_kind_has_a_contract(tree: Path, recipe: Path) -> None:
    edit(recipe / "recipe.yaml", "phases:", "pooling: maximum\nphases:")
    edit(recipe / "recipe.yaml", "    epochs: 2", "    augment: [{name: ./my_augment.py:Augment}]\n    epochs: 2")
    augment = "class Augment:\n    def __init__(self, view, *, share: float = 0.5): ...\n"
    (recipe / "my_augment.py").write_text(augment)
    assert {kind for _, kind, _ in named(chosen(tree, recipe).method("net", None))} == set(CONTRACTS)


def test_a_map_is_asked_of_a_plug_in_as_of_any_detector(tree: Path, recipe: Path) -> None:
    with pytest.raises(UserError, match=r"No detector of recipe my_recipe can say where in a clip the anomaly is\."):
        anomaly_map.run(chosen(tree, recipe), [])
