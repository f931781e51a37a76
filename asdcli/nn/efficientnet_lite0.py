"""EfficientNet-Lite0: an image network whose ImageNet weights come as a Python package."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

# Of each stage: expansion, kernel, stride of the first block, channels, blocks (EfficientNet-B0's, Tan & Le 2019).
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
OUTSIDE = {"_conv_stem": "features.stem.conv", "_bn0": "features.stem.bn", "_conv_head": "features.head.conv"}
OUTSIDE |= {"_bn1": "features.head.bn", "_fc": "classifier"}


class EfficientNetLite0(nn.Module):
    """EfficientNet-B0 without squeeze-and-excitation and with ReLU6, for edge devices: 4,652,008 parameters.

    `features` are the stem, the blocks `0` to `15` and the head; block 2 ends the layers of stride 4, block 4 those of
    stride 8, block 10 those of stride 16. Convolutions pad on both sides, as the TensorFlow network does whose weights
    are published, if sides are one more than a multiple of 32; of others it pads the far side only, which would move
    each layer's cells. Initial weights are those of torchvision's EfficientNet.
    """

    def __init__(self) -> None:
        super().__init__()
        blocks: list[tuple[str, nn.Module]] = [("stem", _layer(3, 32, 3, 2))]
        inputs = 32
        for expansion, kernel, stride, channels, count in STAGES:
            for number in range(count):
                block = Block(inputs, channels, expansion, kernel, stride if number == 0 else 1)
                blocks.append((str(len(blocks) - 1), block))
                inputs = channels
        self.features = nn.Sequential(OrderedDict([*blocks, ("head", _layer(inputs, 1280, 1, 1))]))
        self.classifier = nn.Linear(1280, 1000)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, 3, height, width]` to the logits of ImageNet's classes, `[batch, 1000]`."""
        return self.classifier(self.features(x).mean((2, 3)))


class Block(nn.Module):
    """An inverted residual block: expand, convolve each channel, project."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        if expansion > 1:
            self.expand_conv, self.bn0 = _conv(inputs, wide, 1), _norm(wide)
        self.depthwise_conv, self.bn1 = _conv(wide, wide, kernel, stride, wide), _norm(wide)
        self.project_conv, self.bn2 = _conv(wide, outputs, 1), _norm(outputs)
        self.expands, self.adds = expansion > 1, stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        y = nn.functional.relu6(self.bn1(self.depthwise_conv(y)))
        y = self.bn2(self.project_conv(y))
        return x + y if self.adds else y


def own_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """The published weights under the names of `EfficientNetLite0`; other names stay as they are."""
    named = {}
    for name, value in state.items():
        first, _, rest = name.partition(".")
        if first in OUTSIDE:
            name = f"{OUTSIDE[first]}.{rest}"
        elif first == "_blocks":
            name = f"features.{re.sub(r'[.]_', '.', rest)}"
        named[name] = value
    return named


def _layer(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Module:
    conv, norm = _conv(inputs, outputs, kernel, stride), _norm(outputs)
    return nn.Sequential(OrderedDict(conv=conv, bn=norm, relu=nn.ReLU6()))


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def _norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
