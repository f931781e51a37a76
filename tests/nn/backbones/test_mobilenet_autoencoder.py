"""The convolutional auto-encoder, against the description of its source, and the weights it may start from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers import none_published
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from asdcli.errors import UserError
from asdcli.nn.backbones import BACKBONES
from asdcli.nn.backbones.mobilenet_autoencoder import MobileNetV2Autoencoder
from asdcli.nn.pretrained import StartsPretrained
from asdcli.recipe.components import Component, build


@pytest.fixture(scope="module")
def model() -> MobileNetV2Autoencoder:
    torch.manual_seed(0)
    return MobileNetV2Autoencoder((64, 128))


@pytest.fixture
def weight_file(tmp_path: Path) -> Path:
    torch.manual_seed(5)
    save_file(mobilenet_v2(weights=None).state_dict(), tmp_path / "mobilenet.safetensors")
    return tmp_path / "mobilenet.safetensors"


def test_it_has_the_published_number_of_parameters(model: MobileNetV2Autoencoder) -> None:
    assert sum(parameter.numel() for parameter in model.parameters()) == 8_499_537


def test_with_the_other_encoder_the_rest_is_the_same(model: MobileNetV2Autoencoder) -> None:
    other = MobileNetV2Autoencoder((64, 128), network="efficientnet_lite0")
    assert sum(parameter.numel() for parameter in other.parameters()) == 9_646_673
    assert [str(layer) for layer in [*other.encoder][1:]] == [str(layer) for layer in [*model.encoder][1:]]
    assert str(other.decoder) == str(model.decoder)
    assert other(torch.randn(2, 64, 128)).shape == (2, 64, 128)


def test_its_layers_are_the_published_ones(model: MobileNetV2Autoencoder) -> None:
    sizes = [(layer.in_features, layer.out_features) for layer in model.modules() if isinstance(layer, nn.Linear)][-3:]
    assert sizes == [(10_240, 512), (512, 128), (128, 2048)]
    upward = [layer for layer in model.decoder if isinstance(layer, nn.ConvTranspose2d)]
    assert [layer.in_channels for layer in upward] + [upward[-1].out_channels] == [256, 128, 64, 32, 16, 1]
    assert {(*layer.kernel_size, *layer.stride, *layer.padding) for layer in upward} == {(4, 4, 2, 2, 1, 1)}
    kinds = [type(layer).__name__ for layer in model.decoder]
    up = ["ConvTranspose2d", "BatchNorm2d", "ReLU"]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Unflatten", *up * 4, "ConvTranspose2d"]
    assert [type(layer).__name__ for layer in model.encoder][1:] == [
        "Flatten",
        "Linear",
        "BatchNorm1d",
        "ReLU",
        "Linear",
    ]


@pytest.mark.parametrize("shape", [(64, 128), (32, 32), (96, 64)])
def test_the_output_has_the_shape_of_the_input(shape: tuple[int, int]) -> None:
    model, x = MobileNetV2Autoencoder(shape, latent=4), torch.randn(2, *shape)
    assert model(x).shape == x.shape
    assert model.encoder(x.transpose(1, 2)[:, None].expand(-1, 3, -1, -1)).shape == (2, 4)


def test_the_network_sees_features_by_frames_three_times(model: MobileNetV2Autoencoder) -> None:
    seen: list[Tensor] = []
    hook = model.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    x = torch.randn(2, 64, 128)
    model.eval()(x)
    hook.remove()
    assert seen[0].shape == (2, 3, 128, 64)
    assert all(torch.equal(seen[0][:, channel], x.transpose(1, 2)) for channel in range(3))
    assert seen[0].untyped_storage().data_ptr() == x.untyped_storage().data_ptr()  # a view, not three copies


def test_channels_last_gives_the_same(model: MobileNetV2Autoencoder) -> None:
    """training/run.py puts networks into that format."""
    x = torch.randn(3, 64, 128, generator=torch.Generator().manual_seed(1))
    model.eval()
    with torch.no_grad():
        expected = model(x)
        other = MobileNetV2Autoencoder((64, 128)).eval()
        other.load_state_dict(model.state_dict())
        found = other.to(memory_format=torch.channels_last)(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(63, 128), (64, 100), (5, 128), (0, 32)])
def test_other_shapes_are_the_users_error(shape: tuple[int, int]) -> None:
    frames, features = shape
    with pytest.raises(UserError, match=f"must be multiples of 32, not {frames} frames of {features} features"):
        build(BACKBONES, "model", Component(name="mobilenetv2_autoencoder"), shape)


def test_a_latent_size_of_zero_is_the_users_error() -> None:
    with pytest.raises(UserError, match="latent is a size and cannot be 0"):
        build(BACKBONES, "model", Component.model_validate({"name": "mobilenetv2_autoencoder", "latent": 0}), (32, 32))


# --- published weights ----------------------------------------------------------------------------------------------


def test_a_local_file_fills_the_encoder_and_nothing_else(weight_file: Path) -> None:
    torch.manual_seed(0)
    model = MobileNetV2Autoencoder((32, 32), weights=str(weight_file))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert isinstance(model, StartsPretrained)
    model.load_pretrained(none_published)
    torch.manual_seed(5)
    expected = mobilenet_v2(weights=None).features.state_dict()
    after = model.state_dict()
    assert all(torch.equal(after[f"encoder.0.{name}"], value) for name, value in expected.items())
    rest = [name for name in after if not name.startswith("encoder.0.")]
    assert len(rest) + len(expected) == len(after)
    assert all(torch.equal(after[name], before[name]) for name in rest)
    assert not torch.equal(after["encoder.0.0.0.weight"], before["encoder.0.0.0.weight"])


def test_both_members_start_alike_but_for_the_encoder(weight_file: Path) -> None:
    """What the experiment on pre-training rests on: the choice of weights draws no random number."""
    models = []
    for weights in ("random", str(weight_file)):
        torch.manual_seed(3)
        models.append(MobileNetV2Autoencoder((32, 32), weights=weights))
    first, second = (model.state_dict() for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_random_weights_need_no_file() -> None:
    model = MobileNetV2Autoencoder((32, 32))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_pretrained(none_published)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_building_reads_no_file() -> None:
    model = MobileNetV2Autoencoder((32, 32), weights="/nowhere/mobilenet.pth")
    with pytest.raises(UserError, match=r"There is no weight file /nowhere/mobilenet\.pth"):
        model.load_pretrained(none_published)


def test_a_file_of_another_width_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "half.pth"
    torch.save(mobilenet_v2(weights=None, width_mult=0.5).state_dict(), path)
    with pytest.raises(UserError, match=r"half\.pth does not fit torchvision's mobilenet_v2: 'features\.0\.0\.weight'"):
        MobileNetV2Autoencoder((32, 32), weights=str(path)).load_pretrained(none_published)


def test_the_published_weights_are_those_of_mobilenet_v2(weight_file: Path) -> None:
    asked: list[str] = []
    model = MobileNetV2Autoencoder((32, 32), weights="imagenet")
    model.load_pretrained(lambda name: asked.append(name) or weight_file)  # type: ignore[func-returns-value]
    assert asked == [MobileNetV2Autoencoder.published_weights(weights="imagenet")] == ["imagenet_mobilenet_v2"]
    assert MobileNetV2Autoencoder.published_weights() == ""
    torch.manual_seed(5)
    assert torch.equal(model.encoder[0].state_dict()["0.0.weight"], mobilenet_v2(weights=None).features[0][0].weight)
