"""Learning-rate schedules: number of an update, of all updates, and of those of an epoch, to a factor of the rate."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int, int, float], float]


def constant(*, warmup: int = 0) -> Schedule:
    """Linear rise over the first `warmup` updates, then 1."""
    _check_warmup(warmup)
    return lambda update, total, per_epoch: min(1.0, (update + 1) / (warmup + 1))


def cosine(*, warmup: int = 0, end: float = 0.0, stairs: int = 0) -> Schedule:
    """Linear rise over the first `warmup` updates, then half a cosine from 1 to `end` (Loshchilov & Hutter 2017).

    With `stairs` the way down has so many constant levels of equal length, each at the cosine's value where it begins:
    as many as epochs for a schedule that is moved once per epoch.
    """
    _check_warmup(warmup)
    if stairs < 0:
        raise ValueError(f"stairs is a number of levels and cannot be {stairs}")

    def factor(update: int, total: int, per_epoch: float) -> float:
        if update < warmup:
            return (update + 1) / (warmup + 1)
        done, whole = update - warmup, max(1, total - warmup)
        progress = done * stairs // whole / stairs if stairs else done / whole
        return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return factor


def step(*, gamma: float, epochs: int = 1) -> Schedule:
    """Times `gamma` after every `epochs` epochs."""
    if not 0 < gamma <= 1 or epochs < 1:
        raise ValueError(f"gamma is a factor up to 1 and epochs at least 1, not {gamma} and {epochs}")
    return lambda update, total, per_epoch: gamma ** (int((update + 0.5) / per_epoch) // epochs)


def _check_warmup(warmup: int) -> None:
    if warmup < 0:
        raise ValueError(f"warmup is a number of updates and cannot be {warmup}")


SCHEDULES: dict[str, Callable[..., Schedule]] = {"constant": constant, "cosine": cosine, "step": step}
