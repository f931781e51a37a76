"""Where the numbers are crunched."""

from __future__ import annotations

import platform

import torch

from asdcli.errors import UserError


def pick_device(choice: str) -> torch.device:
    """`auto` takes the GPU when there is one; asking for `cuda` without one is an error that says why."""
    if choice == "cpu" or (choice == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        why = "this torch is a CPU-only build" if torch.version.cuda is None else "torch sees no NVIDIA GPU"
        raise UserError(f"--device cuda: {why}.", "asd doctor")
    return torch.device("cuda")


def describe(device: torch.device) -> str:
    """One phrase for the first line of a training command."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"
