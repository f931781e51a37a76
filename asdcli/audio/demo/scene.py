"""From a rig at an operating point to what the microphone records: structure, factory hall, gain, 16 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asdcli.audio.demo import faults
from asdcli.audio.demo.faults import Fault
from asdcli.audio.demo.machines import Running
from asdcli.audio.demo.rigs import Point, Rig
from asdcli.audio.demo.signals import SAMPLE_RATE_HZ, Array, coloured_noise, impulses, orders, ring, shaft_phase


@dataclass(frozen=True)
class Hall:
    """A factory hall as the microphone hears it; amplitudes relative to full scale."""

    level: float  # RMS of its noise
    slope: float  # how steeply the noise falls; 1: pink
    hum: float  # amplitude of the mains hum
    whine: float  # mean amplitude of another machine nearby
    whine_hz: float  # and its pitch


HALLS = {
    "A": Hall(0.010, 1.0, 0.003, 0.001, 310.0),
    "B": Hall(0.013, 1.2, 0.006, 0.0025, 470.0),
    "C": Hall(0.015, 0.9, 0.004, 0.0035, 730.0),
}


def record(rng: np.random.Generator, rig: Rig, point: Point, fault: Fault | None, amount: float) -> Array:
    """One clip, int16 `[n]`; in good order when `fault` is None."""
    n = round(rig.seconds * SAMPLE_RATE_HZ)
    phase = shaft_phase(rng, n, point.spd * rng.normal(1.0, 0.01))
    run = Running(rng, phase, (0.7 + 0.15 * point.load) * rng.normal(1.0, 0.05))
    if fault is faults.slipping:  # first the belt slips, then everything that it turns sounds
        fault(run, amount)
    rig.normal(run)
    if fault is not None and fault is not faults.slipping:
        fault(run, amount)
    sound = run.tones + ring(run.force, rig.modes) + factory(rng, n, HALLS[point.bkg])
    gain = 10 ** (rng.normal(0.0, 2.5) / 20)  # no two recordings have the microphone in quite the same place
    return np.clip(np.round(32767 * gain * sound), -32768, 32767).astype(np.int16)


def factory(rng: np.random.Generator, n: int, hall: Hall) -> Array:
    """Background `[n]`: coloured noise, mains hum, a neighbour's whine, and now and then something falls far away."""
    turn = 2 * np.pi * np.arange(n) / SAMPLE_RATE_HZ
    noise = hall.level * 10 ** (rng.normal(0.0, 1.5) / 20) * coloured_noise(rng, n, hall.slope)
    loudness, pitch_hz = hall.whine * rng.exponential(1.0), hall.whine_hz * rng.normal(1.0, 0.02)
    whine = loudness * orders(rng, pitch_hz * turn, (1.0, 0.6, 0.4, 0.3))
    hum = sum(hall.hum / k * np.cos(50 * k * turn + rng.uniform(0, 2 * np.pi)) for k in (1, 2, 3, 5))
    falls = rng.uniform(0, n - 1, rng.poisson(0.5 * n / SAMPLE_RATE_HZ))
    metal = [(natural_hz, 0.01, 0.4) for natural_hz in rng.uniform(500.0, 4000.0, 3)]
    return noise + whine + hum + ring(impulses(n, falls, 0.08 * rng.exponential(1.0, len(falls))), metal)
