"""EfficientNet-Lite0 against its formula with TensorFlow's padding, under the names of the published weights."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from asdcli.download.weights import load_weights
from asdcli.nn.efficientnet_lite0 import STAGES, EfficientNetLite0, own_names
from asdcli.nn.pretrained import imagenet_state

OUTSIDE = {
    "features.stem.conv": "_conv_stem",
    "features.stem.bn": "_bn0",
    "features.head.conv": "_conv_head",
    "features.head.bn": "_bn1",
    "classifier": "_fc",
}


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our names as the published file has them."""
    named = {}
    for name, value in state.items():
        module, _, value_name = name.rpartition(".")
        if module not in OUTSIDE:
            _, block, part = module.split(".")
            module = f"_blocks.{block}._{part}"
        named[f"{OUTSIDE.get(module, module)}.{value_name}"] = value
    return named


def forward(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """The published network, which pads as TensorFlow does (`SAME`)."""

    def conv(x: Tensor, name: str, stride: int = 1, groups: int = 1) -> Tensor:
        weight, pads = state[name + ".weight"], []
        for size in (x.shape[3], x.shape[2]):
            total = max((-(-size // stride) - 1) * stride + weight.shape[3] - size, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=groups)

    def norm(x: Tensor, name: str) -> Tensor:
        mean, variance, weight, bias = (
            state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, variance, weight, bias, eps=1e-3)

    x = F.relu6(norm(conv(x, "_conv_stem", 2), "_bn0"))
    block = 0
    for expansion, _, stride, _, count in STAGES:
        for number in range(count):
            at, y = f"_blocks.{block}.", x
            if expansion > 1:
                y = F.relu6(norm(conv(y, at + "_expand_conv"), at + "_bn0"))
            y = F.relu6(norm(conv(y, at + "_depthwise_conv", stride if number == 0 else 1, y.shape[1]), at + "_bn1"))
            y = norm(conv(y, at + "_project_conv"), at + "_bn2")
            x, block = (x + y if x.shape == y.shape else y), block + 1
    x = F.relu6(norm(conv(x, "_conv_head"), "_bn1")).mean((2, 3))
    return F.linear(x, state["_fc.weight"], state["_fc.bias"])


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    """Untrained, but with norms that let the signal through."""
    torch.manual_seed(0)
    network = EfficientNetLite0()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network(torch.randn(8, 3, 65, 97))
    return network.eval()


def test_it_has_the_published_number_of_parameters(network: EfficientNetLite0) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) == 4_652_008
    assert len(published(network.state_dict())) == 296


def test_names_of_the_published_file_become_our_own(network: EfficientNetLite0) -> None:
    state = network.state_dict()
    assert own_names(published(state)).keys() == state.keys()
    assert own_names(state).keys() == state.keys()


@torch.no_grad()
def test_it_computes_what_the_published_network_does_where_both_pad_alike(network: EfficientNetLite0) -> None:
    x = torch.randn(2, 3, 65, 97)
    torch.testing.assert_close(network(x), forward(published(network.state_dict()), x), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(network(x[..., :64, :96]), forward(published(network.state_dict()), x[..., :64, :96]))


def test_the_published_weights_fit() -> None:
    """Where the extra imagenet is installed."""
    weights = load_weights("imagenet_efficientnet_lite0")
    try:
        file = distribution(weights.package).locate_file(weights.inside)
    except PackageNotFoundError:
        pytest.skip("the extra imagenet is not installed")
    state = imagenet_state("efficientnet_lite0", str(file), lambda name: pytest.fail(name))
    EfficientNetLite0().load_state_dict(state)
