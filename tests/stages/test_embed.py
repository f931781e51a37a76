"""Embeddings of networks that nothing has been trained of: made once, whoever asks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import invoke
from test_aithu import small_beats

from asdcli.challenge.editions.scorefiles import read_values
from asdcli.errors import UserError
from asdcli.nn.lora import base_of
from asdcli.recipe.loading import RECIPES
from asdcli.stages import embed
from asdcli.stages.embed import embedding_folder, load
from asdcli.stages.predicting.predict import Listener, Options, predictor_in
from asdcli.stages.selection import Selection, select
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace


class Heard(Ui):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def say(self, text: str) -> None:
        self.heard.append(text)


def embedded(tree: Path, recipe: Path, **others: Any) -> tuple[dict[str, np.ndarray], bool]:
    """The embeddings of a machine, and whether they were copied."""
    ui = Heard()
    given = {"members": ["random"], "machines": ["SynPump"], "profile": "smoke", "device": "cpu", **others}
    selection: Selection = select(Workspace(tree), ui, recipe=str(recipe), **given)
    embed.run(selection)
    _, arrays = load(embedding_folder(selection, "random", "SynPump"), "eval")
    return arrays, any("which is copied" in line for line in ui.heard)


def copied(folder: Path, *changes: tuple[str, str]) -> Path:
    path = shutil.copytree(RECIPES / "frozen_encoder", folder) / "recipe.yaml"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path.parent


def test_another_recipe_that_asks_for_the_same_gets_them(tree: Path, tmp_path: Path) -> None:
    first, was_copied = embedded(tree, copied(tmp_path / "one"))
    assert not was_copied
    changes = [("scope: all", "scope: machine"), ("neighbours: 1", "neighbours: 3"), ("seconds: 2.0", "seconds: 2")]
    again, was_copied = embedded(tree, copied(tmp_path / "other", *changes))
    assert was_copied
    np.testing.assert_array_equal(again["embedding"], first["embedding"])


@pytest.mark.parametrize(
    "change", [("width: 48", "width: 32"), ("seconds: 2.0", "seconds: 1.0"), ("channel: 0", "channel: mean")]
)
def test_what_makes_others_is_not_the_same(tree: Path, tmp_path: Path, change: tuple[str, str]) -> None:
    embedded(tree, copied(tmp_path / "one"))
    assert not embedded(tree, copied(tmp_path / "other", change))[1]


def test_the_seed_counts_where_weights_are_random_and_not_where_they_are_given(tree: Path, tmp_path: Path) -> None:
    recipe, file = copied(tmp_path / "one"), tmp_path / "small.pt"
    embedded(tree, recipe)
    assert not embedded(tree, recipe, seed=1)[1]
    small_beats(file, pool="mean")
    given = copied(tmp_path / "given", ("model: {weights: random", f"model: {{weights: {file}"))
    first, was_copied = embedded(tree, given)
    assert not was_copied
    again, was_copied = embedded(tree, given, seed=1)
    assert was_copied
    np.testing.assert_array_equal(again["embedding"], first["embedding"])


def test_damaged_ones_are_not_copied(tree: Path, tmp_path: Path) -> None:
    first, _ = embedded(tree, copied(tmp_path / "one"))
    (file,) = (tree / "embeddings").rglob("eval.npz")
    file.write_bytes(file.read_bytes()[:-9] + b"123456789")
    again, was_copied = embedded(tree, copied(tmp_path / "other"))
    assert not was_copied
    np.testing.assert_array_equal(again["embedding"], first["embedding"])


def test_a_run_of_given_weights_does_not_hold_them_again(tree: Path, tmp_path: Path) -> None:
    file = tmp_path / "small.pt"
    small_beats(file, pool="mean")
    embedded(tree, copied(tmp_path / "given", ("model: {weights: random", f"model: {{weights: {file}")))
    (weights,) = (tree / "runs").rglob("weights.safetensors")
    assert base_of(weights)
    assert weights.stat().st_size < file.stat().st_size / 3


def test_what_moved_is_put_together_again_to_predict_and_is_whole_in_an_export(tree: Path, tmp_path: Path) -> None:
    file = tmp_path / "small.pt"
    small_beats(file, pool="mean")
    recipe = copied(tmp_path / "given", ("model: {weights: random", f"model: {{weights: {file}"))
    embedded(tree, recipe)
    clip = next((tree / "data" / "demo" / "eval_data" / "raw" / "SynPump" / "test").glob("*.wav"))
    mine = ("--root", tree, "--recipe", recipe, "--member", "random", "--profile", "smoke", "--machine", "SynPump")
    here = json.loads(invoke("predict", clip, *mine, "--json"))
    invoke("export", *mine, "--output", tmp_path / "box")
    small_beats(file, pool="mean", seed=6)
    (run,) = {path.parent for path in (tree / "runs").rglob("weights.safetensors")}
    with pytest.raises(UserError, match="holds what was moved from weights with the SHA-256"):
        Listener(predictor_in(Workspace(tree), Ui(), run, "SynPump"), torch.device("cpu"), Options()).hear(clip)
    file.unlink()
    there = json.loads(invoke("predict", clip, "--run", tmp_path / "box", "--json", "--root", tmp_path / "none"))
    assert there["files"] == here["files"]
    assert base_of(tmp_path / "box" / "weights.safetensors") == ""


def test_predictions_are_pooled_as_scores_are(tree: Path, tmp_path: Path) -> None:
    recipe = copied(tmp_path / "given", ("view: {name: waveforms", "pooling: maximum\nview: {name: waveforms"))
    path = recipe / "recipe.yaml"
    path.write_text(path.read_text().replace("pool: mean", "pool: tokens"))
    mine = ("--root", tree, "--recipe", recipe, "--member", "random", "--profile", "smoke", "--machine", "SynPump")
    invoke("score", *mine)
    (csv,) = (tree / "scores").rglob("random/nearest/seed_0/eval/anomaly_score_SynPump_section_00_test.csv")
    names, values = read_values(csv)
    clips = tree / "data" / "demo" / "eval_data" / "raw" / "SynPump" / "test"
    found = json.loads(invoke("predict", *(clips / name for name in names), *mine, "--json"))
    np.testing.assert_allclose([one["score"] for one in found["files"]], values, rtol=1e-5, atol=1e-7)
