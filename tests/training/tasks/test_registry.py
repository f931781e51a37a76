"""Every registered task, built with its defaults; carrying weights over, freezing, modes; moments of residuals."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import toys
from torch import nn

from asdcli.errors import UserError
from asdcli.nn.backbones.cnn_layers import CnnLayers
from asdcli.nn.backbones.dense_autoencoder import DenseAutoencoder
from asdcli.nn.backbones.mobilefacenet import MobileFaceNet
from asdcli.nn.branches import Branches
from asdcli.recipe.components import Component, build
from asdcli.training.augments.mixup import Mixup
from asdcli.training.seeds import generator
from asdcli.training.tasks import TASKS
from asdcli.training.tasks.task import Task, carry_over, freeze, train_mode
from asdcli.training.views.view import Batch, View
from asdcli.training.views.whole_clips import WholeClips


def example(name: str, clips: int = 8) -> View:
    """Clips of two lengths, as the task's own view shows them."""
    if name == "reconstruction":
        return toys.view(toys.clips([6, 10] * (clips // 2)))
    if name == "layer_features":
        return WholeClips(toys.clips([6, 10] * (clips // 2)), np.arange(clips), toys.CPU, frames=6)
    known = ({"spd": "1"}, {"pat": "A"}, {"spd": "2"}, {"pat": "B"})
    return toys.pieces(toys.sounds([640, 900] * (clips // 2), machines=("fan", "valve"), attributes=known))


def registered(name: str, seed: int = 0) -> Task:
    torch.manual_seed(seed)
    view = example(name)
    model: nn.Module = DenseAutoencoder(view.input_shape, hidden=8, layers=1)
    if name == "layer_features":
        model = CnnLayers(view.input_shape)
    elif name == "branch_arcface":
        model = Branches({branch: small_network(view) for branch in ("one", "other")})
    elif name != "reconstruction":
        model = small_network(view)
    task: Task = build(TASKS, "task", Component(name=name), model, view)
    return task


def small_network(view: View) -> nn.Module:
    return MobileFaceNet(view.input_shape, stem=4, stages=[(2, 4, 1, 2)], head=8, embedding=4)


def batch_of(name: str) -> Batch:
    """Of tasks that compare mixtures with their parts, mixed so."""
    view, examples = example(name), torch.arange(8)
    if name not in ("vicreg_mixup", "mixed_softmax"):
        return view.batch(examples, generator("test"))
    return Mixup(view, place="features", partners="any", keep=True)(view.batch, examples, examples, generator("test"))


@pytest.mark.parametrize(
    "name", [name for name in TASKS if name not in ("layer_features", "frozen")]
)  # which train nothing
def test_a_task_has_a_loss_to_minimise(name: str) -> None:
    task, batch = registered(name), batch_of(name)
    losses = task(batch, generator("test"))
    assert losses["loss"].shape == ()
    assert all(loss.shape in ((), (2,)) and loss.isfinite().all() for loss in losses.values())
    losses["loss"].backward()
    assert all(parameter.grad is not None for parameter in task.parameters())
    optimizer = torch.optim.Adam(task.parameters(), 0.001 if name == "vicreg_mixup" else 0.01)
    found = []
    for _ in range(50):
        loss = task(batch, generator("test"))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    assert min(found[1:]) < found[0]


@pytest.mark.parametrize("name", TASKS)
def test_a_clip_has_embeddings_of_the_same_size_whatever_its_length(name: str) -> None:
    task, view = registered(name).eval(), example(name)
    with torch.no_grad():
        short, long = (toys.embedded(task, view.clip_examples(row)) for row in range(2))
    assert short.keys() == long.keys()
    assert short
    assert all(short[key].shape == long[key].shape and long[key].isfinite().all() for key in short)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_round_trips_through_its_state(name: str) -> None:
    task, other = registered(name), registered(name, seed=1)
    other.load_state_dict(copy.deepcopy(task.state_dict()))
    examples = example(name).clip_examples(0)
    with torch.no_grad():
        assert toys.same(toys.embedded(other.eval(), examples), toys.embedded(task.eval(), examples))


def test_moments_of_residuals() -> None:
    task = registered("reconstruction").eval()
    examples = toys.view(toys.clips([60])).clip_examples(0)
    with torch.no_grad():
        made = toys.embedded(task, examples)
        rows = (task.model(examples) - examples).reshape(-1, toys.FEATURES).double().numpy()
    moment = rows.T @ rows / len(rows)
    np.testing.assert_allclose(made["residual_mean"], rows.mean(0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(made["residual_moment"], moment[np.triu_indices(toys.FEATURES)], rtol=1e-5, atol=1e-7)


def test_the_reconstruction_loss_is_the_mean_squared_error() -> None:
    task, batch = registered("reconstruction").eval(), toys.view().batch(torch.arange(8), generator("test"))
    with torch.no_grad():
        expected = (task.model(batch.x) - batch.x).square().mean()
        assert task(batch, generator("test"))["loss"].item() == pytest.approx(expected.item())


# --- weights from the phase before ----------------------------------------------------------------------------------


class Headed(nn.Module):
    def __init__(self, outputs: int, inputs: int = 3) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(inputs, 4), nn.BatchNorm1d(4))
        self.head = nn.Linear(4, outputs)


def test_what_agrees_in_name_and_shape_is_carried_over() -> None:
    old, new = Headed(2), Headed(5)
    old.model(torch.randn(8, 3))  # moves the statistics of the batch norm
    head = copy.deepcopy(new.head.state_dict())
    carry_over(new, old.state_dict())
    assert toys.same(new.model.state_dict(), old.model.state_dict())
    assert toys.same(new.head.state_dict() | {"bias": head["bias"]}, head)
    assert not torch.equal(old.model[1].running_mean, torch.zeros(4))


def test_names_that_one_side_lacks_are_left_alone() -> None:
    new = Headed(2)
    before = copy.deepcopy(new.state_dict())
    carry_over(new, {"other.weight": torch.ones(3)})
    carry_over(new, {})
    assert toys.same(new.state_dict(), before)


def test_what_was_carried_over_is_a_copy() -> None:
    old, new = Headed(2), Headed(2)
    carry_over(new, old.state_dict())
    with torch.no_grad():
        old.head.weight.zero_()
    assert not torch.equal(new.head.weight, old.head.weight)


# --- freezing -------------------------------------------------------------------------------------------------------


def trainable(module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ((), {"model.0.weight", "model.0.bias", "model.1.weight", "model.1.bias", "head.weight", "head.bias"}),
        (("model.*",), {"head.weight", "head.bias"}),
        (("*.bias",), {"model.0.weight", "model.1.weight", "head.weight"}),
        (("model.0.*", "head.weight"), {"model.1.weight", "model.1.bias", "head.bias"}),
    ],
)
def test_patterns_name_what_is_frozen(patterns: tuple[str, ...], left: set[str]) -> None:
    module = Headed(2)
    freeze(module, ("*",), patterns)
    assert trainable(module) == left


def test_a_pattern_without_a_parameter_is_refused() -> None:
    with pytest.raises(UserError, match=r"no parameter is called 'body\.\*'\. The first names are: model\.0\.weight, "):
        freeze(Headed(2), ("*",), ("body.*",))


def test_training_mode_leaves_frozen_parts_in_evaluation() -> None:
    module = nn.ModuleDict(
        {
            "frozen": nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout()),
            "partly": nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout()),
        }
    )
    freeze(module, ("*",), ("frozen.*", "partly.1.*"))
    module.eval()
    train_mode(module)
    modes = {name: part.training for name, part in module.named_modules() if name.count(".") == 1}
    assert modes == {
        "frozen.0": False,
        "frozen.1": False,
        "frozen.2": False,
        "partly.0": True,
        "partly.1": False,
        "partly.2": True,
    }
