"""LoRA: low-rank adaptation of large language models (Hu et al. 2021, arXiv:2106.09685), for any linear layer.

Of a network adapted so, few values move and many stay. `pack_moved` makes a file of those that moved and of the SHA-256
of the file that the others come from; `load_moved` puts them into a network that has started from the same file again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asdcli.errors import UserError
from asdcli.nn.pretrained import check_fit, read_weights

_BASE = "base_sha256"


class Target(NamedTuple):
    """Linear layers to adapt: those whose names match a pattern such as `blocks.*.attn.qkv`.

    parts, chosen: their rows are cut into so many equal parts, of which these are adapted, each by matrices of its own:
    (0, 2) of 3 are the queries and values of a layer that makes queries, keys and values.
    """

    pattern: str
    parts: int = 1
    chosen: tuple[int, ...] = (0,)


def add_lora(network: nn.Module, targets: Iterable[Target], rank: int, alpha: float) -> None:
    """Adapt linear layers of a network, and freeze all it had before.

    Args:
        network: changed in place; what it computes is the same until it is trained.
        targets: which layers; each has to match one at least.
        rank: r of the matrices A `[r, inputs]` and B `[rows, r]`.
        alpha: B A counts alpha / r times.

    Raises:
        ValueError: a pattern matches no linear layer, or rank or alpha is not positive.
    """
    if rank < 1 or alpha <= 0:
        raise ValueError(f"LoRA needs a rank of 1 or more and a positive alpha, not {rank} and {alpha:g}")
    network.requires_grad_(False)
    layers = {name: module for name, module in network.named_modules() if type(module) is nn.Linear}
    for target in targets:
        matched = [name for name in layers if fnmatch(name, target.pattern)]
        if not matched:
            raise ValueError(f"no linear layer is called '{target.pattern}'")
        for name in matched:
            network.set_submodule(name, LoraLinear(layers[name], target.parts, target.chosen, rank, alpha / rank))


def merge_lora(network: nn.Module) -> None:
    """Make every adapted layer a plain one again, in place, that computes the same to rounding."""
    for name, module in list(network.named_modules()):
        if isinstance(module, LoraLinear):
            network.set_submodule(name, module.merged())


class LoraLinear(nn.Linear):
    """A linear layer that stays, plus scale B A x for the chosen parts of its rows.

    It shares `weight` and `bias` with the layer it is made of and keeps their names. A starts at random and B at zero,
    so that the layer starts as it was.
    """

    def __init__(self, layer: nn.Linear, parts: int, chosen: tuple[int, ...], rank: int, scale: float) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias
        self.parts, self.chosen, self.scale = parts, chosen, scale
        self.lora_a = nn.Parameter(layer.weight.new_empty(len(chosen), rank, layer.in_features))
        self.lora_b = nn.Parameter(layer.weight.new_zeros(len(chosen), layer.out_features // parts, rank))
        bound = 1 / math.sqrt(layer.in_features)  # of torch's linear layers
        nn.init.uniform_(self.lora_a, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(super().forward(x).chunk(self.parts, -1))
        for part, a, b in zip(self.chosen, self.lora_a, self.lora_b, strict=True):
            parts[part] = parts[part] + self.scale * F.linear(F.linear(x, a), b)
        return torch.cat(parts, -1) if self.parts > 1 else parts[0]

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """A plain linear layer that computes the same to rounding."""
        layer = nn.Linear(self.in_features, self.out_features, self.bias is not None, device="meta")
        layer.weight, layer.bias = nn.Parameter(self.weight.clone()), self.bias
        for part, a, b in zip(self.chosen, self.lora_a, self.lora_b, strict=True):
            layer.weight.chunk(self.parts)[part].add_(self.scale * b @ a)
        return layer


# --- files of what moved ----------------------------------------------------------------------------------------------


def moved_names(module: nn.Module) -> set[str]:
    """Of a module's state, what training moves: parameters that are not frozen, and buffers."""
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    return set(module.state_dict()) - frozen


def pack_moved(state: Mapping[str, Tensor], base_sha256: str) -> bytes:
    """A safetensors file of what moved, which names what it was moved from.

    base_sha256: of the file of the weights that the module started from, or what else tells those; empty for a state
    that is whole.
    """
    from safetensors.torch import save

    tensors = {name: value.cpu().contiguous() for name, value in state.items()}
    return save(tensors, metadata={_BASE: base_sha256} if base_sha256 else None)


def base_of(path: Path) -> str:
    """What the state in a file was moved from, as `pack_moved` was told; empty for a state that is whole.

    Raises UserError for a file that cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get(_BASE, "")
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is no weight file.") from error


def load_moved(module: nn.Module, path: Path, base_sha256: str) -> None:
    """Put what moved into a module that has started from the same weights.

    Raises:
        UserError: the file cannot be read, was moved from other weights, or is of another module.
    """
    if (base := base_of(path)) != base_sha256:
        told = f"weights with the SHA-256 {base}" if base else "weights that it does not name"
        raise UserError(f"{path} holds what was moved from {told}, but the network has started from {base_sha256}.")
    found, state = read_weights(path), module.state_dict()
    check_fit(path, type(module).__name__, {name: state[name] for name in state if name in moved_names(module)}, found)
    module.load_state_dict(found, strict=False)
