"""Intermediate layers of an image network on one grid: what is at each place of a spectrogram."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asdcli.nn.pretrained import FindWeights, image_network, imagenet_name, imagenet_state

# Where a network keeps the trunk, and the layers of stride 4, 8 and 16 that are read: the first three stages of the
# ResNets (Defard et al. 2020, section III-A), and of the others the last blocks of the same strides.
TAPS: dict[str, tuple[str, dict[str, int]]] = {
    "resnet18": ("", {"layer1": 4, "layer2": 8, "layer3": 16}),
    "wide_resnet50_2": ("", {"layer1": 4, "layer2": 8, "layer3": 16}),
    "mobilenet_v2": ("features", {"3": 4, "6": 8, "13": 16}),
    "efficientnet_lite0": ("features", {"2": 4, "4": 8, "10": 16}),
}


class CnnLayers(nn.Module):
    """Layers of an image network, stacked on one grid and thinned to some of their channels.

    The spectrogram stands in for an image whose three colours are equal. Cell (i, j) of the grid is centred on feature
    `stride` i and frame `stride` j: these networks pad so that every layer's first cell lies on the first pixel.
    Layers finer than the grid are averaged around its cells, coarser ones interpolated between theirs.

    The channels are drawn at random when the network is built, which the paper (Defard et al. 2020, section III-A)
    prefers to principal components, and kept in its state, since every clip has to show the same ones. Nothing trains
    this network: its norms use the statistics they come with, in training mode too. Those of an untrained MobileNetV2
    let the signal fade to nothing on the way; the untrained ResNets keep it.

    Args:
        input_shape: shape of one example, `(frames, features)`; any number of frames will do.
        network: torchvision's name, or `efficientnet_lite0`.
        weights: `random`, `imagenet`, or the path of a local file of this network.
        stride: features and frames from one cell of the grid to the next: 4, 8 or 16. The paper has 4; 8 has a quarter
            of the cells.
        layers: strides of the layers that are read.
        channels: how many of all (448 in ResNet-18, 1792 in Wide ResNet-50-2, 152 in MobileNetV2, 176 in
            EfficientNet-Lite0) are kept; the paper has 100 and 550 of the former two.
    """

    chosen: Tensor

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        network: Literal["resnet18", "wide_resnet50_2", "mobilenet_v2", "efficientnet_lite0"] = "resnet18",
        weights: str = "random",
        stride: Literal[4, 8, 16] = 8,
        layers: tuple[Literal[4, 8, 16], ...] = (4, 8, 16),
        channels: int = 100,
    ) -> None:
        super().__init__()
        self.network, self.weights, self.stride = network, weights, stride
        self._prefix, taps = TAPS[network]
        if not layers:
            raise ValueError("layers names at least one stride")
        self._strides = {name: own for name, own in taps.items() if own in layers}
        trunk = image_network(network).get_submodule(self._prefix)
        names = [name for name, _ in trunk.named_children()]
        last = names.index(list(self._strides)[-1])
        self.trunk = nn.Sequential(OrderedDict((name, trunk.get_submodule(name)) for name in names[: last + 1]))
        self.trunk.eval()
        total = self._total()
        if not 1 <= channels <= total:
            raise ValueError(f"channels is {channels}; {network} has 1 to {total} to choose from")
        self.register_buffer("chosen", torch.randperm(total)[:channels].sort().values)

    @staticmethod
    def published_weights(*, network: str = "resnet18", weights: str = "random", **others: object) -> str:
        return imagenet_name(network, weights)

    def load_pretrained(self, find: FindWeights) -> None:
        """Put the weights that the recipe names in place. Raises WorkError or UserError where they cannot be had."""
        if self.weights == "random":
            return
        whole = imagenet_state(self.network, self.weights, find)
        prefix = f"{self._prefix}." if self._prefix else ""
        state = {name: whole.get(prefix + name, value) for name, value in self.trunk.state_dict().items()}
        self.trunk.load_state_dict(state)

    def train(self, mode: bool = True) -> CnnLayers:
        """The trunk stays as it is: its norms learn nothing from batches."""
        self.training = mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, frames, features]` to `[batch, ceil(features / stride), ceil(frames / stride), channels]`."""
        height, width = (-(-size // self.stride) for size in (x.shape[2], x.shape[1]))
        x = x.transpose(1, 2).unsqueeze(1).expand(-1, 3, -1, -1)
        layers = []
        for name, part in self.trunk.named_children():
            x = part(x)
            if name in self._strides:
                layers.append(_to_grid(x, self._strides[name], self.stride)[..., :height, :width])
        return torch.cat(layers, 1).permute(0, 2, 3, 1)[..., self.chosen]

    @torch.no_grad()
    def _total(self) -> int:
        """Channels of all layers together."""
        x, total = torch.zeros(1, 3, 32, 32), 0
        for name, part in self.trunk.named_children():
            x = part(x)
            total += x.shape[1] if name in self._strides else 0
        return total


def _to_grid(layer: Tensor, own: int, stride: int) -> Tensor:
    """Bring `[batch, channels, height, width]` with cells at multiples of `own` to multiples of `stride`.

    Interpolation lies between the cells there are, and the last of them is repeated beyond; up to stride / own - 1
    rows and columns too many may come out.
    """
    if own < stride:
        step = stride // own
        return F.avg_pool2d(layer, step + 1, step, step // 2, count_include_pad=False)
    if own == stride:
        return layer
    step = own // stride
    between = [step * (size - 1) + 1 for size in layer.shape[2:]]
    fine = F.interpolate(layer, between, mode="bilinear", align_corners=True)
    return F.pad(fine, (0, step - 1, 0, step - 1), mode="replicate")
