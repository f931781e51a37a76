"""Networks that start from published weights, and where torchvision's ImageNet weights come from."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from urllib.error import URLError

import torch
from torch import Tensor

from asdcli.errors import UserError, WorkError, did_you_mean


@runtime_checkable
class StartsPretrained(Protocol):
    """A network whose recipe may name published weights. Building it reads no file: weights are loaded at the start of
    its first training only, since what was trained holds them already.
    """

    def load_pretrained(self) -> None:
        """Put the weights that the recipe names in place; nothing where it names none. Raises WorkError with what to
        fetch and where to put it.
        """
        ...


def imagenet_state(network: str, weights: str) -> dict[str, Tensor]:
    """All weights of one of torchvision's networks, under torchvision's names and with its shapes, on the CPU.

    Args:
        network: torchvision's name: `mobilenet_v2`, `resnet18`, `resnet50`, `wide_resnet50_2`, ...
        weights: `imagenet` for its first ImageNet weights (IMAGENET1K_V1), which torchvision downloads once into
            torch's hub folder, or the path of a file with a state dict of this network, `.safetensors` or torch's own.

    Raises:
        WorkError: the ImageNet weights cannot be had; says what to fetch and where to put it.
        UserError: the file is missing, cannot be read, or holds another network's weights.
    """
    if weights == "imagenet":
        return _published(network)
    path = Path(weights).expanduser()
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


def _published(network: str) -> dict[str, Tensor]:
    from torchvision.models import get_model_weights

    published = get_model_weights(network)["IMAGENET1K_V1"]
    file = Path(torch.hub.get_dir()) / "checkpoints" / published.url.rsplit("/", 1)[-1]
    try:
        with contextlib.redirect_stdout(sys.stderr):  # torch announces the download on stdout, which may be for JSON
            state = published.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
        if difference := _difference(network, state):
            raise ValueError(difference)
    except Exception as error:  # no line, a proxy's page, a wrong hash, a full disk, half a file from earlier
        raise WorkError(
            f"The ImageNet weights of {network} cannot be had: {_reason(error)}.",
            f"Fetch {published.url} and put it at {file} (in place of any file there), or name a local copy in the "
            "recipe, as the model's weights.",
        ) from error
    return dict(state)


def _reason(error: Exception) -> str:
    if isinstance(error, URLError):
        return str(error.reason)
    if isinstance(error, OSError | RuntimeError | ValueError | HTTPException):
        return str(error).strip().split("\n")[0].rstrip(".")
    return "the file there is no weight file"  # torch's own sentence on those recommends to load them unsafely


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
