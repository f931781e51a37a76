"""The recipe of AITHU's report for DCASE 2024: what it counts and says, and its systems end to end, small."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import invoke
from safetensors.torch import load_file

from asdcli.errors import UserError
from asdcli.nn.backbones import BACKBONES
from asdcli.nn.lora import base_of
from asdcli.recipe.components import Component, build
from asdcli.recipe.loading import RECIPES, load_recipe
from asdcli.recipe.schema import Method
from asdcli.stages import embed
from asdcli.stages.embed import embedding_folder, load
from asdcli.stages.features import ClipData
from asdcli.stages.looking.describe import count_parameters, published_weights
from asdcli.stages.runs import find_run
from asdcli.stages.selection import Selection, select
from asdcli.stages.train import make_view, run_labels
from asdcli.training.run import build_task
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

RECIPE = load_recipe("aithu_2024")
HEAD = 197_760 + 1536 * 128 + 128  # pooling, and the layer to the embedding
LORA = 12 * 3 * 2 * 64 * 768  # three layers of each of twelve blocks


def settings(member: str, machine: str | None = None, profile: str = "full") -> Method:
    return RECIPE.resolve(member=member, machine=machine, edition="dcase2024", profile=profile)


@pytest.mark.parametrize(
    ("member", "trained"),
    [
        ("beats_full", 90_311_792 + HEAD),
        ("beats_pse", 90_311_792 + HEAD),
        ("eat_full", 85_254_144 + HEAD),
        ("beats_lora", LORA + HEAD),
        ("eat_lora", LORA + HEAD),
        ("dual", 2 * (LORA + HEAD)),
    ],
)
def test_as_many_values_are_trained_as_the_report_tells_apart_from_its_heads(member: str, trained: int) -> None:
    """It has 90 M, 88 M with an unused decoder, and 3.73 M, of which 3,538,944 are LoRA's."""
    assert LORA == 3_538_944
    assert count_parameters(settings(member)) == trained


def test_it_is_trained_as_the_report_says() -> None:
    full, lora = settings("beats_full").phases["train"], settings("beats_lora").phases["train"]
    assert (full.steps, full.batch_size, full.accumulate, lora.steps) == (10_000, 32, 8, 50_000)
    assert (full.optimizer.name, full.optimizer.params["lr"]) == ("adamw", 1e-4)
    eat, eat_lora = (settings(name).phases["train"].optimizer for name in ("eat_full", "eat_lora"))
    assert (eat.name, eat.params["lr"], eat_lora.name, eat_lora.params["lr"]) == ("adam", 5e-5, "adam", 1e-4)
    assert published_weights(settings("dual")) == ["beats", "eat"]
    for member in ("beats_pse", "eat_pse"):  # a full training from the published weights again
        first, again = settings(member).phases.values()
        assert again.cluster
        assert again.start == "initial"
        assert again.model_dump(exclude={"start", "cluster"}) == first.model_dump(exclude={"start", "cluster"})


def test_the_dual_network_has_each_branchs_rate_and_decay() -> None:
    optimizer = settings("dual").phases["train"].optimizer
    (factor,) = optimizer.params["rate_factors"].values()
    assert optimizer.params["lr"] == settings("beats_lora").phases["train"].optimizer.params["lr"]
    assert optimizer.params["lr"] * factor == pytest.approx(settings("eat_lora").phases["train"].optimizer.params["lr"])
    assert optimizer.params["no_decay"] == list(optimizer.params["rate_factors"])


@pytest.mark.parametrize(
    ("machine", "beats", "eat"),
    [
        ("gearbox", 20, 20),
        ("slider", 20, 20),
        ("ToyTrain", 25, 25),
        ("AirCompressor", 7, 5),
        ("BrushlessMotor", 9, 8),
        ("HoveringDrone", 3, 2),
        ("ToothBrush", 10, 6),
        ("ToyCar", "silhouette", "silhouette"),
    ],
)
def test_clusters_are_those_of_table_2(machine: str, beats: object, eat: object) -> None:
    assert (settings("beats_pse", machine).clusters, settings("eat_pse", machine).clusters) == (beats, eat)


def test_systems_have_the_coefficients_of_table_3_and_are_oracles() -> None:
    systems = RECIPE.header.systems
    for number in range(1, 5):
        own, submitted = systems[f"system_{number}"], systems[f"system_{number}_as_submitted"]
        assert sum(own.weights.values()) == pytest.approx(1)
        assert (own.weights, own.oracle, own.normalisation) == (submitted.weights, submitted.oracle, "train")
        assert submitted.normalisation == "test"
    assert systems["system_1"].weights == {"beats_lora/nearest": 0.2, "eat_lora/nearest": 0.4, "dual/nearest": 0.4}
    assert not systems["equal"].oracle


# --- runs -------------------------------------------------------------------------------------------------------------


def score(tree: Path, recipe: str, member: str, **others: Any) -> Selection:
    given: dict[str, Any] = {"profile": "smoke", "device": "cpu", "data": "demo", "set_name": "dev", **others}
    selection = select(Workspace(tree), Ui(), recipe=recipe, members=[member], **given)
    embed.run(selection)
    return selection


def run_folder(selection: Selection) -> Path:
    return find_run(selection, selection.members[0], "all").folder


def small_beats(file: Path, seed: int = 5, **options: Any) -> None:
    """A file as BEATs is published, of the smoke profile's small network."""
    model = settings("beats_full", profile="smoke").model
    torch.manual_seed(seed)
    state = build(
        BACKBONES, "model", Component.model_validate({"name": "beats", **model.params, **options}), (32_000,)
    ).encoder_state()
    table = state.pop("encoder.relative_attention_bias.weight")
    for layer in range(2):
        state[f"encoder.layers.{layer}.self_attn.relative_attention_bias.weight"] = table.clone()
    torch.save({"cfg": {}, "model": state}, file)


@pytest.fixture
def started(tmp_path: Path) -> tuple[Path, Path]:
    """The recipe with weights of a file in place of random ones, and the file."""
    file = tmp_path / "small.pt"
    small_beats(file)
    recipe = Path(shutil.copytree(RECIPES / "aithu_2024", tmp_path / "mine"))
    path = recipe / "recipe.yaml"
    assert "&small {weights: random," in path.read_text()
    path.write_text(path.read_text().replace("&small {weights: random,", f"&small {{weights: {file},"))
    return recipe, file


def test_a_run_of_lora_keeps_what_moved_and_is_embedded_from_its_base(
    tree: Path, tmp_path: Path, started: tuple[Path, Path]
) -> None:
    recipe, file = started
    selection = score(tree, str(recipe), "beats_lora")
    weights = run_folder(selection) / "weights.safetensors"
    kept = load_file(weights)
    assert base_of(weights) == hashlib.sha256(file.read_bytes()).hexdigest()
    assert not any(name.endswith("k_proj.weight") for name in kept)
    assert any(name.endswith("lora_b") and value.any() for name, value in kept.items())
    _, embedded = load(embedding_folder(selection, "beats_lora", "SynFan"), "dev")

    # Base and what moved, put together by hand.
    base = torch.load(file, weights_only=True)["model"]
    state = {f"model.{name}": value for name, value in base.items() if "relative_attention_bias" not in name}
    table = "encoder.layers.0.self_attn.relative_attention_bias.weight"
    state |= {"model.encoder.relative_attention_bias.weight": base[table], **kept}
    run, set_name = find_run(selection, "beats_lora", "all"), "dev"
    data = ClipData(selection, run.method, run.machines, run_labels(selection, run))
    rows = np.flatnonzero((data.clips.machine == "SynFan") & (data.set_name == set_name))[:3]
    view = make_view(selection, run.method, data, rows)
    task = build_task(run.method, "train", view, torch.device("cpu"), seed=9)
    task.load_state_dict(state)
    with torch.no_grad():
        made = task.eval().embed(torch.cat([view.clip_examples(row) for row in range(3)]), [1, 1, 1])
    np.testing.assert_allclose(made["embedding"][:, 0].numpy(), embedded["embedding"][:3, 0], rtol=1e-4, atol=1e-5)


def test_pseudo_attributes_are_learnt_and_test_clips_are_of_none(tree: Path) -> None:
    fan = tree / "data" / "demo" / "dev_data" / "raw" / "SynFan"
    for path in fan.glob("attributes_*.csv"):
        path.unlink()
    for path in sorted(fan.glob("*/*.wav")):
        path.rename(path.with_name(re.sub(r"(_\d{4}).*", r"\1_noAttribute.wav", path.name)))
    selection = score(tree, "aithu_2024", "beats_pse")
    labels = run_labels(selection, find_run(selection, "beats_pse", "all"))["class"]
    clips, _ = load(embedding_folder(selection, "beats_pse", "SynFan"), "dev")
    numbers = labels.numbers(clips)
    assert (numbers[clips.split == "train"] >= 0).all()
    assert (numbers[clips.split == "test"] == -1).all()
    assert all(" cluster " in labels.names[number] for number in numbers[numbers >= 0])
    weight = load_file(run_folder(selection) / "weights.safetensors")["arcface.weight"]
    assert len(weight) == len(labels.names)


def test_without_weights_it_says_what_to_fetch(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASD_MIRROR", "http://127.0.0.1:9")  # where nothing listens
    with pytest.raises(UserError, match="The weights beats are not here") as caught:
        invoke("--root", tree, "train", "--recipe", "aithu_2024", "--data", "demo", "--member", "beats_lora")
    assert "asd download beats" in caught.value.hint


class Warned(Ui):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.mark.parametrize(
    ("recipe", "profile", "members", "said"),
    [
        ("aithu_2024", "smoke", ["beats_lora", "dual"], "Profile smoke: beats_lora, dual start from random weights,"),
        ("aithu_2024", "safe", ["dual"], ""),
        ("frozen_encoder", "smoke", ["random"], ""),
    ],
)
def test_random_weights_in_the_place_of_published_ones_are_said(
    tree: Path, recipe: str, profile: str, members: list[str], said: str
) -> None:
    ui = Warned()
    select(Workspace(tree), ui, recipe=recipe, profile=profile, members=members, data="demo")
    assert "".join(ui.warnings).startswith(said)
    assert bool(said) == bool(ui.warnings)


@pytest.mark.slow
def test_seven_members_and_their_systems(tree: Path) -> None:
    given = ["--recipe", "aithu_2024", "--data", "demo", "--profile", "smoke"]
    for name, system in RECIPE.header.systems.items():
        said = invoke("--root", tree, "ensemble", *given, "--system", name)
        assert ("oracle" in said) == system.oracle
    assert "dual/nearest" in invoke("--root", tree, "evaluate", *given)


@pytest.mark.slow
@pytest.mark.parametrize("member", ["beats_full", "dual"])
def test_a_full_size_step_fits_a_card_of_twelve_gigabytes(member: str) -> None:
    """Its weights are random, its batch is small: what a larger one takes is in bench/README.md."""
    peak = subprocess.run([sys.executable, "-c", STEP, member], capture_output=True, text=True, check=True).stdout
    assert 1e9 < float(peak) < 12e9


STEP = """
import resource, sys, torch
from types import SimpleNamespace
from asdcli.nn.branches import build_network
from asdcli.nn.optimizers import OPTIMIZERS
from asdcli.recipe.components import build
from asdcli.recipe.loading import load_recipe
from asdcli.training.labels import CLASS, LabelSet, LabelSets
from asdcli.training.tasks import TASKS
from asdcli.training.views.view import Batch, ViewLabels

method = load_recipe("aithu_2024").resolve(member=sys.argv[1])
phase, classes = method.phases["train"], torch.arange(2)
sets = LabelSets({CLASS: LabelSet("attributes", tuple(map(str, range(141))))})
view = SimpleNamespace(labels=ViewLabels(sets, {CLASS: classes}))
task = build(TASKS, "task", phase.task, build_network(method.model, (160_000,)), view).train()
optimizer = build(OPTIMIZERS, "optimizer", phase.optimizer, task.named_parameters())
batch = Batch({"waveform": 0.1 * torch.randn(2, 160_000)}, classes, {CLASS: classes})
before = [value.detach().clone() for value in task.parameters() if value.requires_grad]
task(batch, torch.Generator())["loss"].backward()
optimizer.step()
after = [value for value in task.parameters() if value.requires_grad]
assert all(value.isfinite().all() for value in after)
assert any(not torch.equal(one, other) for one, other in zip(before, after))
print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
