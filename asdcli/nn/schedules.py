"""Learning-rate schedules: number of an update, of all updates, and of those of an epoch, to a factor of the rate."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int, int, float], float]


def constant(*, warmup: int = 0, warmup_epochs: float = 0.0) -> Schedule:
    """Linear rise over the first `warmup` updates, or `warmup_epochs`, then 1."""
    _check_warmup(warmup, warmup_epochs)
    return lambda update, total, per_epoch: min(
        1.0, (update + 1) / (_warmup_updates(warmup, warmup_epochs, per_epoch) + 1)
    )


def cosine(
    *, warmup: int = 0, warmup_epochs: float = 0.0, begin: float | None = None, end: float = 0.0, stairs: int = 0
) -> Schedule:
    """Linear rise over the first `warmup` updates, or `warmup_epochs`, then half a cosine from 1 to `end`.

    Loshchilov & Hutter 2017. The first update of the warm-up has the factor `begin`, 0 in VICReg's code; left out, it
    is 1 / (w + 1) with w updates of warm-up. Either way the rise is even and the update after them has 1.

    With `stairs` the way down has so many constant levels of equal length, each at the cosine's value where it begins:
    as many as epochs for a schedule that is moved once per epoch.
    """
    _check_warmup(warmup, warmup_epochs)
    if stairs < 0:
        raise ValueError(f"stairs is a number of levels and cannot be {stairs}")
    if begin is not None and not 0 <= begin <= 1:
        raise ValueError(f"begin is a factor from 0 to 1, not {begin:g}")

    def factor(update: int, total: int, per_epoch: float) -> float:
        rise = _warmup_updates(warmup, warmup_epochs, per_epoch)
        if update < rise:
            return (update + 1) / (rise + 1) if begin is None else begin + (1 - begin) * update / rise
        done, whole = update - rise, max(1, total - rise)
        progress = done * stairs // whole / stairs if stairs else done / whole
        return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return factor


def step(*, gamma: float, epochs: int = 1) -> Schedule:
    """Times `gamma` after every `epochs` epochs."""
    if not 0 < gamma <= 1 or epochs < 1:
        raise ValueError(f"gamma is a factor up to 1 and epochs at least 1, not {gamma} and {epochs}")
    return lambda update, total, per_epoch: gamma ** (int((update + 0.5) / per_epoch) // epochs)


def _warmup_updates(warmup: int, warmup_epochs: float, per_epoch: float) -> int:
    return round(warmup_epochs * per_epoch) if warmup_epochs else warmup


def _check_warmup(warmup: int, warmup_epochs: float) -> None:
    if warmup < 0:
        raise ValueError(f"warmup is a number of updates and cannot be {warmup}")
    if warmup_epochs < 0:
        raise ValueError(f"warmup_epochs is a number of epochs and cannot be {warmup_epochs}")
    if warmup and warmup_epochs:
        raise ValueError("warmup counts updates and warmup_epochs epochs; one of them says how long")


SCHEDULES: dict[str, Callable[..., Schedule]] = {"constant": constant, "cosine": cosine, "step": step}
