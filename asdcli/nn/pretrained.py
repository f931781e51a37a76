"""Networks that start from published weights. Where those lie, and how they came there, others know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from asdcli.errors import UserError, did_you_mean, few, shown
from asdcli.nn.efficientnet_lite0 import EfficientNetLite0, own_names

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


_COUNT = ".num_batches_tracked"


def image_network(name: str) -> nn.Module:
    """One of torchvision's networks, or `efficientnet_lite0`, with initial weights: `features` and more."""
    if name == "efficientnet_lite0":
        return EfficientNetLite0()
    from torchvision.models import get_model

    network: nn.Module = get_model(name, weights=None)
    return network


def imagenet_name(network: str, weights: str) -> str:
    """What the ImageNet weights of a network are called, where a recipe says `imagenet`; else empty."""
    return f"imagenet_{network}" if weights == "imagenet" else ""


def imagenet_state(network: str, weights: str, find: FindWeights) -> dict[str, Tensor]:
    """All weights of an `image_network`, under its names and with its shapes, on the CPU.

    Counts of batches seen may be missing: old files lack them, and they change nothing at a fixed momentum.

    Args:
        network: torchvision's name (`mobilenet_v2`, `resnet18`, `resnet50`, `wide_resnet50_2`, ...), or
            `efficientnet_lite0`.
        weights: `imagenet` for its published ImageNet weights (torchvision's first, IMAGENET1K_V1), which `find` finds,
            or the path of a file with a state dict of this network, `.safetensors` or torch's own.

    Raises:
        UserError: the file is missing, cannot be read, or holds another network's weights.
        WorkError: the published weights cannot be had (as `find` says).
    """
    path = weight_file("imagenet", imagenet_name(network, weights), weights, find)
    state = read_weights(path)
    if network == "efficientnet_lite0":
        state = own_names(state)
    with torch.device("meta"):
        expected = image_network(network).state_dict()
    needed = {name: value for name, value in expected.items() if name in state or not name.endswith(_COUNT)}
    check_fit(path, f"torchvision's {network}" if network != "efficientnet_lite0" else network, needed, state)
    return state


def weight_file(word: str, name: str, weights: str, find: FindWeights) -> Path:
    """The file that a recipe's `weights` means: published ones of this name, which `find` finds, or a path.

    word: what a recipe says for the published ones. name: what they are called; empty for a path.
    """
    path = find(name) if name else Path(weights).expanduser()
    if not path.is_file():
        raise UserError(
            f"There is no weight file {path.absolute()}.{did_you_mean(weights, ['random', word])}",
            f"weights is random, {word}, or the path of a file.",
        )
    return path


def read_weights(path: Path) -> dict[str, Any]:
    """What a weight file holds, on the CPU, without running any code in it: `.safetensors`, or a mapping that torch
    saved, whose values may be tensors, plain data, or mappings of those.

    Raises:
        UserError: the file cannot be read, or only by running what is in it.
    """
    try:
        return _read(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # whatever the two readers raise on bytes that are not theirs
        if code := _code_in(path):
            raise UserError(
                f"{path} would run code to be read ({few(code)}), which is refused.",
                "Take a file of tensors alone: .safetensors, or {'model': tensors} saved by torch.",
            ) from error
        raise UserError(
            f"{path} is no weight file.", "It should hold a state dict of tensors, as .safetensors or saved by torch."
        ) from error


def _read(path: Path) -> dict[str, Any]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(path))
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping):
        raise ValueError(f"{path} holds a {type(state).__name__}")
    return dict(state)


def _code_in(path: Path) -> list[str]:
    """Names of what one of torch's files would call when it is read, beside what makes tensors; none is called."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # it is none of torch's files
        return []


def check_fit(path: Path, network: str, expected: Mapping[str, Tensor], found: Mapping[str, Any]) -> None:
    """Compare names and shapes of what a network needs with what a file holds.

    Raises:
        UserError: some are missing, of another shape, or unknown; the first few of each kind are named.
    """
    missing = [f"'{name}'" for name in expected if name not in found]
    misshapen = [
        f"'{name}' is {_shape(found[name])} where {list(value.shape)} is needed"
        for name, value in expected.items()
        if name in found and _shape(found[name]) != str(list(value.shape))
    ]
    strangers = [f"'{shown(name)}'" for name in found if name not in expected]
    said = [
        *([f"it has no {few(missing)}"] if missing else []),
        *([few(misshapen)] if misshapen else []),
        *([f"the network has no {few(strangers)}"] if strangers else []),
    ]
    if said:
        raise UserError(f"{path} does not fit {network}: {'; '.join(said)}.")


def _shape(value: Any) -> str:
    return str(list(value.shape)) if isinstance(value, Tensor) else f"a {type(value).__name__}"
