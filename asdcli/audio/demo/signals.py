"""Building blocks of machine sound: shaft phase, orders, impact trains, structural modes, coloured noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SAMPLE_RATE_HZ = 16000

Array = np.ndarray
Mode = tuple[float, float, float]  # natural frequency in Hz, damping ratio, amplitude of the ringing


def slow_noise(rng: np.random.Generator, n: int, rate_hz: float) -> Array:
    """Noise `[n]` of about unit variance that changes `rate_hz` times a second: speed and load never stand still."""
    knots = np.arange(0, n + SAMPLE_RATE_HZ / rate_hz, SAMPLE_RATE_HZ / rate_hz)
    return np.interp(np.arange(n), knots, rng.normal(0.0, 1.2, len(knots)))


def shaft_phase(rng: np.random.Generator, n: int, speed_hz: float) -> Array:
    """Angle of a shaft in radians `[n]`: 0.3 % slow wander of the speed and a random walk as phase noise."""
    speed = speed_hz * (1.0 + 0.003 * slow_noise(rng, n, 3.0))
    steps = 2 * np.pi * speed / SAMPLE_RATE_HZ + rng.normal(0.0, 5e-4, n)
    return np.cumsum(steps) + rng.uniform(0, 2 * np.pi)


def orders(rng: np.random.Generator, phase: Array, amplitudes: Sequence[float]) -> Array:
    """Harmonics of a rotation: sum over k of a_k cos(k phase + random), as a polynomial in exp(i phase)."""
    rotation = np.exp(1j * phase)
    total = np.zeros_like(rotation)
    for amplitude in reversed(amplitudes):
        total = (total + amplitude * np.exp(2j * np.pi * rng.random())) * rotation
    return total.real


def strikes(rng: np.random.Generator, phase: Array, per_turn: float, scatter: float) -> Array:
    """Times (in samples, fractional) at which something strikes `per_turn` times per turn of the shaft.

    `scatter` is the standard deviation of each spacing as a share of it. The deviations add up: rolling elements
    slip, which is why bearing signals are only nearly periodic (Randall and Antoni, 2011).
    """
    turns = phase * per_turn / (2 * np.pi)
    count = int(turns[-1] - turns[0])
    marks = turns[0] + rng.random() + np.arange(count) + np.cumsum(rng.normal(0.0, scatter, count))
    marks = marks[(marks > turns[0]) & (marks < turns[-1])]
    return np.interp(marks, turns, np.arange(len(turns)))


def impulses(n: int, times: Array, strength: Array | float) -> Array:
    """Unit-area impulses of the given strengths at fractional samples: `[n]`."""
    train = np.zeros(n + 1)
    whole = times.astype(int)
    np.add.at(train, whole, strength * (1 - (times - whole)))
    np.add.at(train, whole + 1, strength * (times - whole))
    return train[:n]


def ring(force: Array, modes: Sequence[Mode]) -> Array:
    """A structure's answer to a force `[n]`: each mode is a second-order system ringing at its natural frequency.

    Mobility i w / (w0^2 - w^2 + 2 i zeta w0 w): a unit impulse starts a decaying cosine of the mode's amplitude. The
    end of a clip rings on into its start, so that there is no silent beginning.
    """
    omega = 2j * np.pi * np.fft.rfftfreq(len(force), 1 / SAMPLE_RATE_HZ)
    mobility = np.zeros_like(omega)
    for natural_hz, damping, amplitude in modes:
        natural = 2 * np.pi * natural_hz
        mobility += amplitude * omega / (natural**2 + omega**2 + 2 * damping * natural * omega)
    return np.fft.irfft(np.fft.rfft(force) * SAMPLE_RATE_HZ * mobility, len(force))


def coloured_noise(rng: np.random.Generator, n: int, slope: float) -> Array:
    """Noise of unit RMS `[n]` whose power falls with frequency to the `slope` (1: pink), flat below 30 Hz."""
    frequency = np.maximum(np.fft.rfftfreq(n, 1 / SAMPLE_RATE_HZ), 30.0)
    spectrum = np.fft.rfft(rng.standard_normal(n)) * frequency ** (-slope / 2)
    noise = np.fft.irfft(spectrum, n)
    return noise / np.sqrt(np.mean(noise**2))
