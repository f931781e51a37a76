"""Every registered network: built with its defaults, trained on one batch, saved and loaded. A new one too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from asdcli.nn.backbones import BACKBONES
from asdcli.recipe.components import Component, build

TRAINED = [name for name in BACKBONES if name != "identity"]
LARGE = ("resnet50", "mobilenetv2_autoencoder", "efficientnet_b0", "cnn_layers")  # longer than a second to learn
# One example, where a network does not take five frames of sixteen features.
SHAPES: dict[str, tuple[int, ...]] = {
    "mobilenetv2_autoencoder": (32, 32),
    "mobilenet_v2": (64, 64),
    "beats": (5_360,),
    "eat": (5_360,),
}
# What makes small networks of large ones, and nothing random in training.
SMALL: dict[str, dict[str, Any]] = {
    "beats": {
        "pool": "statistics",
        "depth": 2,
        "width": 32,
        "heads": 4,
        "hidden": 64,
        "patch_width": 16,
        "conv_kernel": 8,
        "conv_groups": 4,
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "layer_drop": 0.0,
    },
    "eat": {"depth": 2, "width": 32, "heads": 4, "hidden": 64, "target_frames": 32},
}


def network(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    component = Component.model_validate({"name": name, **SMALL.get(name, {})})
    module: nn.Module = build(BACKBONES, "model", component, SHAPES.get(name, (5, 16)))
    return module


def examples(name: str, count: int = 8) -> Tensor:
    return torch.randn(count, *SHAPES.get(name, (5, 16)), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in TRAINED]
)
def test_a_network_overfits_one_batch(name: str) -> None:
    model, x = network(name), examples(name)
    target = torch.randn(model(x).shape, generator=torch.Generator().manual_seed(2)).abs()  # some end in a ReLU
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    losses = []
    for _ in range(100):
        if losses and losses[-1] < 0.2 * losses[0]:
            break
        loss = nn.functional.mse_loss(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("name", TRAINED)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    model = network(name)
    model(examples(name)).square().sum().backward()
    assert [
        key for key, value in model.named_parameters() if value.grad is None or not value.grad.isfinite().all()
    ] == []


@pytest.mark.parametrize("name", TRAINED)
def test_weights_round_trip_through_a_file(name: str, tmp_path: Path) -> None:
    model, x = network(name), examples(name)
    model(x)  # moves the statistics of batch norms
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    other = network(name, seed=1)
    assert not torch.equal(other.eval()(x), model.eval()(x))
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other.eval()(x), model.eval()(x))


@pytest.mark.parametrize("name", TRAINED)
def test_initial_weights_depend_on_the_seed_alone(name: str) -> None:
    one, same, other = network(name), network(name), network(name, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", BACKBONES)
def test_one_example_at_a_time_gives_the_same(name: str) -> None:
    model, x = network(name).eval(), examples(name)
    with torch.no_grad():
        torch.testing.assert_close(torch.cat([model(x[i : i + 1]) for i in range(len(x))]), model(x))


def test_the_identity_makes_vectors_of_examples_and_has_nothing_to_train() -> None:
    model, x = network("identity"), examples("identity")
    assert torch.equal(model(x), x.reshape(8, 80))
    assert (model.embedding_size, list(model.parameters())) == (80, [])
