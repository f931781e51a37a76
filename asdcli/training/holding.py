"""Where the data lie that batches are cut from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

SHARE = 0.5  # of the memory that a GPU has left; the network needs some too


class Held:
    """Data on the device. Where they do not fit there they stay on this side of it, and what is cut from them follows.

    Args:
        values: the data; a `np.memmap` is data that memory does not hold.
        device: where they are wanted.
    """

    def __init__(self, values: np.ndarray, device: torch.device) -> None:
        self._device = device
        self.streamed = not _fits(values, device)
        self.values = torch.from_numpy(values).to("cpu" if self.streamed else device)

    @property
    def place(self) -> torch.device:
        """Where the data lie."""
        return self.values.device

    def onto_device(self, cut: Tensor) -> Tensor:
        """What was cut from the data, on the device; from pinned memory, so that nobody waits for the copy."""
        if cut.device == self._device:
            return cut
        return (cut.pin_memory() if self._device.type == "cuda" else cut).to(self._device, non_blocking=True)


def _fits(values: np.ndarray, device: torch.device) -> bool:
    if device.type == "cuda":
        return values.nbytes <= SHARE * torch.cuda.mem_get_info(device)[0]
    return device.type != "cpu" or not isinstance(values, np.memmap)
