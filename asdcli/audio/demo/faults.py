"""What goes wrong. Each fault changes a running machine by an `amount`, from 0.2 (faint) to 1 (plain)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from asdcli.audio.demo.machines import INNER_RACE_ORDER, OUTER_RACE_ORDER, Running
from asdcli.audio.demo.signals import SAMPLE_RATE_HZ, impulses, strikes

Fault = Callable[[Running, float], None]


def outer_race(run: Running, amount: float) -> None:
    """A pit in the outer race: every ball strikes it, always in the load zone, so all strikes are about as hard."""
    run.force += run.hits(OUTER_RACE_ORDER, 0.01, 0.14 * amount * run.load)


def inner_race(run: Running, amount: float) -> None:
    """A pit in the inner race turns with the shaft through the load zone: strikes rise and fall once per turn."""
    times = strikes(run.rng, run.phase, INNER_RACE_ORDER, 0.01)
    zone = np.maximum(0.0, np.cos(np.interp(times, np.arange(len(run.phase)), run.phase)))
    run.force += impulses(len(run.phase), times, 0.22 * amount * run.load * zone)


def imbalance(run: Running, amount: float) -> None:
    """A heavy spot: the first order of the shaft grows and everything swells once per turn."""
    swing = np.cos(run.phase + run.rng.uniform(0, 2 * np.pi))
    run.tones = run.tones * (1 + 0.8 * amount * swing) + 0.03 * amount * swing
    run.force *= 1 + 0.8 * amount * swing


def loose_part(run: Running, amount: float) -> None:
    """Something rattles: about a given angle of the shaft, in two turns of three, each time with a few bounces."""
    n = len(run.phase)
    first = strikes(run.rng, run.phase, 1.0, 0.0)
    first = first[run.rng.random(len(first)) < 0.67]
    times = (first[:, None] + np.cumsum(run.rng.exponential(0.004 * SAMPLE_RATE_HZ, (len(first), 4)), axis=1)).ravel()
    times = times[times < n - 1]
    run.force += impulses(n, times, 0.1 * amount * run.rng.exponential(1.0, len(times)))


def slipping(run: Running, amount: float) -> None:
    """A belt lets go about twice a second: the speed dips by up to a quarter. Acts before the machine sounds."""
    n = len(run.phase)
    starts = run.rng.uniform(0, n, max(1, round(2.0 * n / SAMPLE_RATE_HZ)))
    dips = np.exp(-(((np.arange(n) - starts[:, None]) / (0.12 * SAMPLE_RATE_HZ)) ** 2)).max(axis=0)
    steps = np.diff(run.phase, prepend=run.phase[0])
    run.phase = run.phase[0] + np.cumsum(steps * (1 - 0.25 * amount * dips))


def worn_tooth(run: Running, amount: float) -> None:
    """A worn tooth of the pinion: a knock per turn, and the mesh tone sags once per turn: a fan of sidebands."""
    angle = run.phase + run.rng.uniform(0, 2 * np.pi)
    run.tones *= 1 - 0.9 * amount * np.exp(8 * (np.cos(angle) - 1))
    run.force += run.hits(1.0, 0.0, 0.25 * amount * run.load)


def clogged(run: Running, amount: float) -> None:
    """Blocked blades move less air and stall: the tones fall, broadband noise rises."""
    run.tones *= 1 - 0.8 * amount
    run.force *= 1 + 0.7 * amount


def cavitation(run: Running, amount: float) -> None:
    """Vapour bubbles collapse, hundreds in a second; hardest when the impeller passes its pressure minimum."""
    n = len(run.phase)
    times = np.sort(run.rng.uniform(0, n - 1, round(600 * n / SAMPLE_RATE_HZ)))
    pressure = np.maximum(0.0, np.cos(np.interp(times, np.arange(n), run.phase)))
    run.force += impulses(n, times, 0.08 * amount * pressure * run.rng.exponential(1.0, len(times)))
