"""Layers of image networks on one grid: its shape, where its cells lie, and which channels are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import none_published
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import get_model

from asdcli.errors import UserError
from asdcli.nn.backbones import BACKBONES
from asdcli.nn.backbones.cnn_layers import TAPS, CnnLayers, _to_grid
from asdcli.nn.pretrained import StartsPretrained, image_network
from asdcli.recipe.components import Component, build

TOTALS = {"resnet18": 448, "wide_resnet50_2": 1792, "mobilenet_v2": 152, "efficientnet_lite0": 176}


def network(seed: int = 0, **params: object) -> CnnLayers:
    torch.manual_seed(seed)
    built = build(BACKBONES, "model", Component.model_validate({"name": "cnn_layers", **params}), (1, 128))
    assert isinstance(built, CnnLayers)
    return built


@pytest.mark.parametrize("name", TAPS)
def test_all_channels_of_the_three_layers_can_be_had(name: str) -> None:
    model = network(network=name, channels=TOTALS[name])
    assert model.chosen.tolist() == list(range(TOTALS[name]))
    with pytest.raises(UserError, match=f"{name} has 1 to {TOTALS[name]} to choose from"):
        network(network=name, channels=TOTALS[name] + 1)


def test_no_channels_are_refused() -> None:
    with pytest.raises(UserError, match="channels is 0"):
        network(channels=0)


@pytest.mark.parametrize(
    ("stride", "frames", "features", "grid"),
    [(8, 313, 128, (16, 40)), (4, 313, 128, (32, 79)), (16, 313, 128, (8, 20)), (8, 51, 65, (9, 7)), (8, 1, 1, (1, 1))],
)
@torch.no_grad()
def test_the_grid_has_a_cell_for_every_stride_begun(
    stride: int, frames: int, features: int, grid: tuple[int, int]
) -> None:
    assert network(stride=stride)(torch.randn(2, frames, features)).shape == (2, *grid, 100)


@torch.no_grad()
def test_the_channels_are_those_of_torchvisions_own_forward() -> None:
    model = network(network="resnet18", channels=448, stride=8)
    whole = get_model("resnet18", weights=None).eval()
    whole.load_state_dict(model.trunk.state_dict(), strict=False)
    seen: dict[str, Tensor] = {}
    whole.layer2.register_forward_hook(lambda module, given, made: seen.update(layer2=made))
    whole.layer3.register_forward_hook(lambda module, given, made: seen.update(layer3=made))
    x = torch.randn(1, 64, 96)
    made = model(x)[0]
    whole(x.transpose(1, 2)[:, None].repeat(1, 3, 1, 1))
    torch.testing.assert_close(made[..., 64:192], seen["layer2"][0].permute(1, 2, 0))
    torch.testing.assert_close(made[::2, ::2, 192:], seen["layer3"][0].permute(1, 2, 0))


@pytest.mark.parametrize("own", [4, 8, 16])
@pytest.mark.parametrize("stride", [4, 8, 16])
def test_cells_stay_where_they_are_when_layers_are_brought_to_the_grid(own: int, stride: int) -> None:
    """A layer whose values are the positions of its cells shows the positions of the grid's cells, but for the rim."""
    places = torch.arange(0, 256, own).float()
    layer = torch.stack([places[:, None].expand(-1, len(places)), places[None].expand(len(places), -1)])[None]
    rows, columns = _to_grid(layer, own, stride)[0, :, : 256 // stride, : 256 // stride]
    inside = slice(1, 256 // stride - max(own // stride, 1))
    expected = stride * torch.arange(256 // stride).float()[inside]
    assert torch.equal(rows[inside, 3], expected)
    assert torch.equal(columns[3, inside], expected)


@pytest.mark.parametrize(
    ("name", "stride"),
    [
        ("resnet18", 4),
        ("resnet18", 8),
        ("resnet18", 16),
        ("wide_resnet50_2", 8),
        ("mobilenet_v2", 8),
        ("efficientnet_lite0", 8),
    ],
)
@torch.no_grad()
def test_what_is_in_the_spectrogram_is_seen_at_its_place(name: str, stride: int) -> None:
    """With kernels that average, which have no direction of their own."""
    model = network(network=name, stride=stride, channels=TOTALS[name])
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.fill_(1 / module.weight[0].numel())
    x = torch.zeros(1, 320, 256)
    x[:, 138:143, 106:111] = 1.0  # around frame 140 and feature 108: in the middle of no cell
    seen = model(x)[0].double().numpy()
    for channel in np.moveaxis(seen / seen.sum((0, 1)), 2, 0)[:: len(model.chosen) // 8]:
        for axis, place in ((0, 108), (1, 140)):
            share = channel.sum(1 - axis)
            assert np.average(stride * np.arange(len(share)), weights=share) == pytest.approx(place, abs=1)


def test_the_choice_of_channels_depends_on_the_seed_and_is_part_of_the_state() -> None:
    one, same, other = network(), network(), network(seed=1)
    assert torch.equal(one.chosen, same.chosen)
    assert not torch.equal(one.chosen, other.chosen)
    assert len(set(one.chosen.tolist())) == 100
    x = torch.randn(1, 40, 128)
    with torch.no_grad():
        assert not torch.equal(one(x), other(x))
        other.load_state_dict(one.state_dict())
        assert torch.equal(one(x), other(x))


def test_norms_learn_nothing_in_training_mode() -> None:
    model = network().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        model(torch.randn(4, 40, 128))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module.training for module in model.modules() if isinstance(module, nn.BatchNorm2d))


def test_some_layers_may_be_left_out() -> None:
    model = network(network="efficientnet_lite0", layers=[8], channels=40)
    assert model(torch.randn(1, 40, 128)).shape == (1, 16, 5, 40)
    assert [name for name, _ in model.trunk.named_children()][-1] == "4"
    with pytest.raises(UserError, match="efficientnet_lite0 has 1 to 40 to choose from"):
        network(network="efficientnet_lite0", layers=[8], channels=41)
    with pytest.raises(UserError, match="layers names at least one stride"):
        network(layers=[])


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "efficientnet_lite0"])
def test_weights_of_a_local_file_are_put_in_place(name: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    whole = image_network(name)
    save_file(whole.state_dict(), tmp_path / "weights.safetensors")
    model = network(network=name, weights=str(tmp_path / "weights.safetensors"))
    assert isinstance(model, StartsPretrained)
    drawn = model.chosen.clone()
    trunk = whole.get_submodule(TAPS[name][0]).state_dict()
    assert not torch.equal(next(iter(model.trunk.state_dict().values())), next(iter(trunk.values())))
    model.load_pretrained(none_published)
    assert all(torch.equal(value, trunk[key]) for key, value in model.trunk.state_dict().items())
    assert torch.equal(model.chosen, drawn)


def test_random_weights_stay_as_they_are_drawn() -> None:
    model, same = network(), network()
    model.load_pretrained(none_published)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), same.parameters(), strict=True))
