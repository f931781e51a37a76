"""MobileNetV2 at half width: its size from the paper's table, its input, and that it is Keras' network in a mirror."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from asdcli.nn.backbones.torchvision_nets import MobileNetV2

# Table 2 of Sandler et al. 2018: expansion, channels, blocks, first stride
TABLE = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


def network(**params: float) -> MobileNetV2:
    torch.manual_seed(0)
    return MobileNetV2((64, 128), **params).eval()


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def thinned(channels: int, width: float) -> int:
    """The nearest multiple of eight, never less than nine tenths of what the multiplier asks for."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def counted(width: float) -> int:
    """Parameters of the convolutions and batch norms of the paper's table, the last at 1280 channels."""
    channels = thinned(32, width)
    total = 3 * 9 * channels + 2 * channels
    for expansion, wanted, blocks, _ in TABLE:
        after = thinned(wanted, width)
        for _ in range(blocks):
            inner = channels * expansion
            total += (channels + 2) * inner if expansion > 1 else 0
            total += (9 + 2) * inner + (inner + 2) * after
            channels = after
    return total + (channels + 2) * 1280


@pytest.mark.parametrize("width", [0.25, 0.5, 0.75, 1.0])
def test_the_parameters_are_those_of_the_papers_table(width: float) -> None:
    assert sum(parameter.numel() for parameter in network(width=width).parameters()) == counted(width)


def test_half_width_is_the_default_of_the_baseline() -> None:
    model = network()
    assert sum(parameter.numel() for parameter in model.parameters()) == 687_680
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.001, 1e-3)}


def test_the_image_stands_in_each_of_three_channels() -> None:
    model, x = network().train(), images(3, 64, 128)
    with torch.no_grad():
        out = model(x)
        assert out.shape == (3, model.embedding_size)
        torch.testing.assert_close(out, model.features(torch.stack([x, x, x], 1)).mean((2, 3)))


class KerasPadding(nn.Module):
    """A strided convolution as Keras lays it on sides of even length: zeros behind, none in front."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = copy.deepcopy(convolution)
        self.convolution.padding = (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[2] % 2 == x.shape[3] % 2 == 0
        return self.convolution(nn.functional.pad(x, (0, 1, 0, 1)))


def test_keras_padding_is_the_mirrored_network() -> None:
    model, x = network().train(), images(2, 64, 128)  # with fresh running statistics all but nothing would come out
    keras = copy.deepcopy(model)
    strided = 0
    for parent in list(keras.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d):
                child.weight.data = child.weight.data.flip(2, 3)
                if child.stride != (1, 1):
                    setattr(parent, name, KerasPadding(child))
                    strided += 1
    assert strided == 5
    with torch.no_grad():
        torch.testing.assert_close(keras(x.flip(1, 2)), model(x), rtol=1e-3, atol=1e-3)
        assert (keras(x) - model(x)).abs().mean() > 0.1


@pytest.mark.parametrize("width", [0.0, -0.5, 1.5])
def test_an_impossible_width_is_refused(width: float) -> None:
    with pytest.raises(ValueError, match="width is a share above 0"):
        MobileNetV2((64, 128), width=width)
