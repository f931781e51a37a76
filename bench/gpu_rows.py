"""What the parts of bench/gpu.py share: what was asked for, rows of figures, and when a figure is as it should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from training_steps import timed

Row = dict[str, str]
Item = tuple[str, Callable[[], list[Row]]]  # what is looked at, and the work that makes its rows

# How much farther from float64 than the CPU a device may be. In float32, sums in another order and Winograd's
# convolutions stay below 32 times; TF32, which drops 13 of 23 bits, is 8192 times as coarse. In bfloat16 only the order
# of sums differs, since both round each layer's output to the same 8 bits.
FARTHER = {torch.float32: 32, torch.bfloat16: 4}


@dataclass(frozen=True)
class Setting:
    """The device, and whether this is a short run that only shows that everything works."""

    device: torch.device
    quick: bool

    @property
    def profile(self) -> str:
        """Of the recipes: as published, or small."""
        return "smoke" if self.quick else "full"

    @property
    def seconds(self) -> float:
        """How long to measure for one time."""
        return 0.0 if self.quick else 1.5

    def calls_for(self, seconds_per_call: float) -> int:
        return max(1, min(1000, round(self.seconds / seconds_per_call)))

    def seconds_per_call(self, work: Callable[[], object]) -> float:
        """Mean time of a call, after two to warm up."""
        first = timed(self.device, work)
        if self.quick:
            return first
        calls = self.calls_for(timed(self.device, work))
        return timed(self.device, lambda: [work() for _ in range(calls)]) / calls


def deviation(found: Tensor, expected: Tensor) -> float:
    """The largest difference, as a share of the largest expected value."""
    found, expected = found.detach().double().cpu(), expected.detach().double().cpu()
    return float((found - expected).abs().max() / expected.abs().max())


def tolerance(cpu: Tensor, exact: Tensor, dtype: torch.dtype = torch.float32) -> float:
    """How far from float64 a device may be: FARTHER times as far as the CPU, which may be exact by luck."""
    return FARTHER[dtype] * max(deviation(cpu, exact), torch.finfo(dtype).eps)


def verdict(*within: bool) -> str:
    return "ok" if all(within) else "OFF"


def milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}"
