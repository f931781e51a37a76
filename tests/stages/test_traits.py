"""What is remembered of components: commands with nothing to do import nothing heavy, and nothing stale is believed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from asdcli.errors import UserError
from asdcli.recipe.loading import load_recipe, recipe_names
from asdcli.recipe.schema import Method
from asdcli.stages import traits
from asdcli.stages.selection import Selection, select
from asdcli.stages.systems import System, fuse_recipe
from asdcli.stages.traits import MEMORY, Memory, Traits
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

RECIPE = ("--recipe", "baseline_ae", "--profile", "smoke", "--data", "demo")


def smoke(root: Path) -> Selection:
    return select(Workspace(root), Ui(), recipe="baseline_ae", profile="smoke", device="cpu")


def method_of(name: str) -> Method:
    recipe = load_recipe(name)
    return recipe.resolve(member=next(iter(recipe.header.members)), edition=recipe.header.edition)


def test_a_command_with_nothing_to_do_imports_no_torch(tree: Path, imported_by_asd: Callable[..., set[str]]) -> None:
    fuse_recipe(smoke(tree), System(None, "train"), None)
    for command in ("features", "train", "embed", "score", "ensemble"):
        imported = {name.partition(".")[0] for name in imported_by_asd("--root", str(tree), command, *RECIPE)}
        assert not imported & {"torch", "torchaudio", "scipy", "sklearn", "matplotlib", "requests", "soundfile"}, (
            command
        )
        assert "pydantic" in imported


@pytest.mark.parametrize("name", recipe_names())
def test_what_is_remembered_is_what_was_told(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Memory(tmp_path / MEMORY).traits(method_of(name))
    monkeypatch.setattr(traits, "check_components", lambda method, run_code=True: pytest.fail("it is known"))
    assert Memory(tmp_path / MEMORY).traits(method_of(name)) == told


def test_another_asd_asks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Memory(tmp_path / MEMORY).traits(method_of("baseline_ae"))
    asked: list[object] = []
    monkeypatch.setattr(traits, "check_components", lambda method, run_code=True: asked.append(method))
    Memory(tmp_path / MEMORY).traits(method_of("baseline_ae"))
    assert not asked
    monkeypatch.setattr(traits, "_sources", lambda: "another version")
    Memory(tmp_path / MEMORY).traits(method_of("baseline_ae"))
    assert len(asked) == 1


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[]", b"{", b'{"made_by": 1}', b'{"made_by": "SOURCES", "methods": {"a": {"x": 1}}}']
)
def test_a_damaged_memory_is_made_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / MEMORY
    path.write_bytes(content.replace(b"SOURCES", traits._sources().encode()))
    assert isinstance(Memory(path).traits(method_of("baseline_ae")), Traits)
    assert len(json.loads(path.read_text())["methods"]) == 1


def test_what_is_wrong_is_never_remembered(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    text = (load_recipe("baseline_ae").folder / "recipe.yaml").read_text()
    (tmp_path / "mine" / "recipe.yaml").write_text(text.replace("name: logmel", "name: logmell"))
    for _ in range(2):
        with pytest.raises(UserError, match="unknown front end 'logmell'"):
            select(Workspace(tree), Ui(), recipe=str(tmp_path / "mine"), device="cpu")


def test_a_view_that_cannot_have_its_front_end_is_an_error_of_the_recipe(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    text = (load_recipe("arcface_ensemble").folder / "recipe.yaml").read_text()
    (tmp_path / "mine" / "recipe.yaml").write_text(re.sub("^frontend:.*", "frontend: kaldi_fbank", text, flags=re.M))
    with pytest.raises(
        UserError, match=r"recipe.yaml, line \d+: view: waveform_pieces: pieces are cut for front ends with"
    ):
        select(Workspace(tree), Ui(), recipe=str(tmp_path / "mine"), device="cpu")
