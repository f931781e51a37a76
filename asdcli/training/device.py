"""Where the numbers are crunched."""

from __future__ import annotations

import platform

import torch

from asdcli.errors import UserError


def pick_device(choice: str) -> torch.device:
    """`auto` takes the GPU when there is one; asking for `cuda`, or for `cuda:1`, without it is an error that says why.

    A GPU that is asked for by its number is torch's current one from then on.
    """
    if choice == "cpu" or (choice == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        why = "this torch is a CPU-only build" if torch.version.cuda is None else "torch sees no NVIDIA GPU"
        raise UserError(f"--device {choice}: {why}.", "asd doctor")
    device = torch.device("cuda" if choice == "auto" else choice)
    if device.index is not None:
        if device.index >= torch.cuda.device_count():
            raise UserError(f"--device {choice}: torch sees {torch.cuda.device_count()}, from cuda:0 on.", "asd doctor")
        torch.cuda.set_device(device)
    return device


def describe(device: torch.device) -> str:
    """One phrase for the first line of a training command."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"
