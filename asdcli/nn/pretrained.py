"""Networks that start from published weights. Where those lie, and how they came there, others know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from asdcli.errors import UserError, did_you_mean

FindWeights = Callable[[str], Path]
"""From the name of published weights to the file that holds them."""


@runtime_checkable
class StartsPretrained(Protocol):
    """A network whose recipe may name published weights. Building it reads no file: weights are loaded at the start of
    its first training only, since what was trained holds them already.
    """

    @staticmethod
    def published_weights(**params: Any) -> str:
        """The name of the published weights that a network with these parameters starts from; empty for none."""
        ...

    def load_pretrained(self, find: FindWeights) -> None:
        """Put the weights that the recipe names in place; nothing where it names none."""
        ...


def imagenet_name(network: str, weights: str) -> str:
    """What torchvision's ImageNet weights of a network are called, where a recipe says `imagenet`; else empty."""
    return f"imagenet_{network}" if weights == "imagenet" else ""


def imagenet_state(network: str, weights: str, find: FindWeights) -> dict[str, Tensor]:
    """All weights of one of torchvision's networks, under torchvision's names and with its shapes, on the CPU.

    Args:
        network: torchvision's name: `mobilenet_v2`, `resnet18`, `resnet50`, `wide_resnet50_2`, ...
        weights: `imagenet` for its first ImageNet weights (IMAGENET1K_V1), which `find` finds, or the path of a file
            with a state dict of this network, `.safetensors` or torch's own.

    Raises:
        UserError: the file is missing, cannot be read, or holds another network's weights.
        WorkError: the published weights cannot be had (as `find` says).
    """
    name = imagenet_name(network, weights)
    path = find(name) if name else Path(weights).expanduser()
    if not path.is_file():
        raise UserError(
            f"There is no weight file {path.absolute()}.{did_you_mean(weights, ['random', 'imagenet'])}",
            "weights is random, imagenet, or the path of a file.",
        )
    try:
        state = _read(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # whatever the two readers raise on bytes that are not theirs
        raise UserError(
            f"{path} is no weight file.", "It should hold a state dict of tensors, as .safetensors or saved by torch."
        ) from error
    if difference := _difference(network, state):
        raise UserError(f"{path} does not fit torchvision's {network}: {difference}.")
    return state


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping):
        raise ValueError(f"{path} holds a {type(state).__name__}")
    return dict(state)


def _difference(network: str, state: Mapping[str, Any]) -> str:
    """The first entry in which a state dict differs from what the network has, in words; empty if there is none.

    Counts of batches seen may be missing: old files lack them, and they change nothing at a fixed momentum.
    """
    from torchvision.models import get_model

    with torch.device("meta"):
        expected = get_model(network, weights=None).state_dict()
    for name, value in expected.items():
        if name not in state:
            if name.endswith(".num_batches_tracked"):
                continue
            return f"it has no '{name}'"
        found = state[name]
        if not isinstance(found, Tensor) or found.shape != value.shape:
            shape = list(found.shape) if isinstance(found, Tensor) else f"a {type(found).__name__}"
            return f"'{name}' is {shape} where {list(value.shape)} is needed"
    strangers = [name for name in state if name not in expected]
    return f"the network has no '{strangers[0]}'" if strangers else ""
