"""Only the network leaves float32: what a task makes of its output is the same to the last bit as without autocast."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import toys
from torch import Tensor, nn

from asdcli.nn.losses.arcface import ArcFace
from asdcli.training.precision import bfloat16_network
from asdcli.training.seeds import generator
from asdcli.training.tasks.arcface import ArcFaceClassification
from asdcli.training.tasks.reconstruction import Reconstruction
from asdcli.training.tasks.softmax import SoftmaxClassification
from asdcli.training.tasks.task import Task
from asdcli.training.views.view import Batch, View


class Flat(nn.Module):
    """An embedding from one layer, and what came out of it at its last call."""

    embedding_size = 16
    made: Tensor

    def __init__(self, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(shape[0] * shape[1], outputs)
        self.shape = shape if outputs == shape[0] * shape[1] else (outputs,)

    def forward(self, x: Tensor) -> Tensor:
        self.made = self.layer(x.flatten(1)).unflatten(1, self.shape)
        return self.made


class Given(nn.Module):
    """In place of a network: what it made, whatever it sees."""

    def __init__(self, made: Tensor) -> None:
        super().__init__()
        self.made = made

    def forward(self, x: Tensor) -> Tensor:
        return self.made


def classifier(task: type[Task], **params: object) -> tuple[Task, View]:
    view = toys.pieces()
    torch.manual_seed(0)
    return task(Flat(view.input_shape, 16), view, **params), view  # type: ignore[call-arg]


def autoencoder() -> tuple[Task, View]:
    view = toys.view()
    torch.manual_seed(0)
    return Reconstruction(Flat(view.input_shape, 6), view, standardise="feature"), view


TASKS: dict[str, Callable[[], tuple[Task, View]]] = {
    "arcface, two_label": lambda: classifier(ArcFaceClassification, mixed="two_label", margin_rad=0.5),
    "arcface, soft_label": lambda: classifier(ArcFaceClassification, mixed="soft_label", centres=2),
    "softmax": lambda: classifier(SoftmaxClassification),
    "reconstruction": autoencoder,
}


def gradients(task: Task) -> dict[str, Tensor]:
    """Of the loss's own weights and heads."""
    return {name: p.grad for name, p in task.named_parameters() if not name.startswith("model.") and p.grad is not None}


@pytest.mark.parametrize("name", TASKS)
def test_a_loss_is_computed_in_float32_from_what_the_network_made_in_bfloat16(name: str) -> None:
    task, view = TASKS[name]()
    batch = toys.mixed_batch(view, torch.arange(8))
    other = copy.deepcopy(task)
    with bfloat16_network(task.model, toys.CPU):
        found = task(batch, generator("test"))
    made: Tensor = task.model.made  # type: ignore[assignment]
    assert made.dtype == torch.bfloat16
    made.retain_grad()
    found["loss"].backward()

    other.model = Given(made.detach().float().requires_grad_())
    expected = other(batch, generator("test"))
    expected["loss"].backward()
    assert all(loss.dtype == torch.float32 for loss in found.values())
    assert toys.same(found, expected)
    assert toys.same(gradients(task), gradients(other))
    assert torch.equal(made.grad, other.model.made.grad.bfloat16())  # type: ignore[union-attr, arg-type, operator]


def test_autocast_would_reach_a_loss_that_it_is_wrapped_around() -> None:
    """The reason for all this; where it fails, torch has learned to keep cosines in float32 by itself."""
    torch.manual_seed(0)
    loss, x = ArcFace(64, 5), torch.randn(32, 64)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = loss.cosines(x)
    assert (rounded - loss.cosines(x)).abs().max() > 1000 * torch.finfo(torch.float32).eps


def test_the_network_is_as_before_afterwards_also_after_an_error() -> None:
    task, view = autoencoder()
    batch = Batch({"x": view.batch(torch.arange(8), generator("test")).x[:, :1]}, torch.zeros(8))
    with pytest.raises(RuntimeError), bfloat16_network(task.model, toys.CPU):
        task(batch, generator("test"))
    assert "forward" not in vars(task.model)
    assert not torch.is_autocast_enabled("cpu")


def test_a_small_step_in_bfloat16_is_near_one_in_float32() -> None:
    """The gradients of the network's own weights arrive, in float32, and point the same way."""
    task, view = classifier(ArcFaceClassification)
    batch, plain = toys.mixed_batch(view, torch.arange(24)), copy.deepcopy(task)
    with bfloat16_network(task.model, toys.CPU):
        task(batch, generator("test"))["loss"].backward()
    plain(batch, generator("test"))["loss"].backward()
    found, expected = (one.model.layer.weight.grad for one in (task, plain))  # type: ignore[union-attr]
    assert found.dtype == torch.float32
    assert torch.cosine_similarity(found.flatten(), expected.flatten(), dim=0) > 0.999
