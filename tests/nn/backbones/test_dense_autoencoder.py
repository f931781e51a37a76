"""The auto-encoder of the baselines, against its published description."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from asdcli.errors import UserError
from asdcli.nn.backbones import BACKBONES
from asdcli.nn.backbones.dense_autoencoder import DenseAutoencoder
from asdcli.recipe.components import Component, build


def test_it_has_the_published_sizes() -> None:
    model = DenseAutoencoder((5, 128))
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    widths = [linear[0].in_features, *(module.out_features for module in linear)]
    assert widths == [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640]
    trained = sum(parameter.numel() for parameter in model.parameters())
    statistics = sum(buffer.numel() for buffer in model.buffers() if buffer.dim())
    assert trained == 267_928  # the PyTorch baseline prints this
    assert trained + statistics == 269_992  # Keras counts the batch norms' statistics


def test_every_layer_but_the_last_is_normalised_and_rectified() -> None:
    model = DenseAutoencoder((5, 16), hidden=8, layers=2, bottleneck=3)
    kinds = [type(module).__name__ for module in [*model.encoder, *model.decoder]]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU"] * 5 + ["Linear"]
    assert model.encoder(torch.randn(4, 80)).shape == (4, 3)
    assert (model.encoder(torch.randn(4, 80)) >= 0).all()
    assert (model(torch.randn(4, 5, 16)) < 0).any()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.01, 1e-3)}


def test_an_example_is_flattened_frame_by_frame() -> None:
    model = DenseAutoencoder((2, 3), hidden=6, layers=1, bottleneck=6).eval()
    seen: list[torch.Tensor] = []
    model.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    x = torch.arange(6.0).view(1, 2, 3)
    assert model(x).shape == x.shape
    torch.testing.assert_close(seen[0], torch.arange(6.0).view(1, 6))


@pytest.mark.parametrize("params", [{"hidden": 0}, {"layers": 0}, {"bottleneck": -1}])
def test_impossible_sizes_are_the_users_error(params: dict[str, int]) -> None:
    with pytest.raises(UserError, match="model dense_autoencoder: hidden, layers and bottleneck must be at least 1"):
        build(BACKBONES, "model", Component.model_validate({"name": "dense_autoencoder", **params}), (5, 16))


# --- the narrowing one ----------------------------------------------------------------------------------------------


def test_the_dense_autoencoder_of_the_2026_study_has_its_sizes() -> None:
    model = DenseAutoencoder((5, 128), widths=(512, 256, 128, 64, 32), norm="none")
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    widths = [linear[0].in_features, *(module.out_features for module in linear)]
    assert widths == [640, 512, 256, 128, 64, 32, 64, 128, 256, 512, 640]
    assert sum(parameter.numel() for parameter in model.parameters()) == 1_006_112
    kinds = [type(module).__name__ for module in [*model.encoder, *model.decoder]]
    assert kinds == ["Linear", "ReLU"] * 9 + ["Linear"]
    assert not list(model.buffers())
    assert model.encoder(torch.randn(4, 640)).shape == (4, 32)


def test_the_baseline_can_be_written_in_widths() -> None:
    torch.manual_seed(0)
    one = DenseAutoencoder((5, 16), hidden=8, layers=2, bottleneck=3)
    torch.manual_seed(0)
    other = DenseAutoencoder((5, 16), widths=(8, 8, 3))
    assert one.state_dict().keys() == other.state_dict().keys()
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())
    assert "decoder.6.weight" in one.state_dict()  # names of weights that were trained before widths came


@pytest.mark.parametrize("widths", [[], [8, 0], [-1]])
def test_impossible_widths_are_the_users_error(widths: list[int]) -> None:
    with pytest.raises(UserError, match="model dense_autoencoder: widths needs at least one number"):
        build(BACKBONES, "model", Component.model_validate({"name": "dense_autoencoder", "widths": widths}), (5, 16))
