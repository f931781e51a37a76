"""The network that a recipe names: one of the registry, or several side by side on the same examples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asdcli.nn.backbones import BACKBONES
from asdcli.nn.pretrained import FindWeights, StartsPretrained
from asdcli.recipe.components import build
from asdcli.recipe.schema import Network


def build_network(model: Network, input_shape: tuple[int, ...]) -> nn.Module:
    """The network with its initial weights. Raises UserError for one that cannot be."""
    if not model.branches:
        network: nn.Module = build(BACKBONES, "model", model, input_shape)
        return network
    return Branches({name: build(BACKBONES, "model", one, input_shape) for name, one in model.branches.items()})


class Branches(nn.Module):
    """Networks that each make a vector of the same example; what they have in common is what a task makes of these.

    Args:
        branches: backbones with `embedding_size`, by name.
    """

    def __init__(self, branches: dict[str, nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(branches)
        self.sizes = {name: int(network.embedding_size) for name, network in branches.items()}  # type: ignore[arg-type]
        self.embedding_size = sum(self.sizes.values())

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, ...]` to the vectors of all branches end to end, `[batch, embedding_size]`."""
        return torch.cat([network(x) for network in self.branches.values()], 1)

    def parts(self, vectors: Tensor) -> dict[str, Tensor]:
        """What `forward` made, `[batch, embedding_size]`, as the vectors of each branch, `[batch, size]`."""
        return dict(zip(self.sizes, vectors.split(list(self.sizes.values()), 1), strict=True))

    @staticmethod
    def published_weights(**params: object) -> str:
        """None of its own: those of its branches are asked for one by one."""
        return ""

    def load_pretrained(self, find: FindWeights) -> None:
        for network in self.branches.values():
            if isinstance(network, StartsPretrained):
                network.load_pretrained(find)
