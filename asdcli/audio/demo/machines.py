"""Four machines in good order: what their shafts, blades, teeth and vanes do to the air and to the structure."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from asdcli.audio.demo.signals import Array, coloured_noise, impulses, orders, slow_noise, strikes

# A rolling bearing of 9 balls, ball to pitch diameter d/D = 0.2, no contact angle (cos phi = 1). Events per turn of the
# shaft, from kinematics without slip: n/2 (1 - d/D cos phi), n/2 (1 + d/D cos phi).
OUTER_RACE_ORDER = 9 / 2 * (1 - 0.2)
INNER_RACE_ORDER = 9 / 2 * (1 + 0.2)


@dataclass
class Running:
    """A machine at work. `tones` reach the microphone as they are, `force` through the structure's modes."""

    rng: np.random.Generator
    phase: Array  # of the shaft, rad [n]
    load: float  # 1: nominal
    tones: Array = field(init=False)
    force: Array = field(init=False)

    def noise(self, slope: float = 0.0) -> Array:
        """Noise of unit RMS, white or falling with frequency, as long as the clip."""
        return coloured_noise(self.rng, len(self.phase), slope)

    def hits(self, per_turn: float, scatter: float, strength: float) -> Array:
        """Nearly periodic impacts, a little uneven in strength."""
        times = strikes(self.rng, self.phase, per_turn, scatter)
        return impulses(len(self.phase), times, strength * self.rng.uniform(0.6, 1.4, len(times)))


def bearing(run: Running) -> None:
    """A shaft in two bearings: low orders of the shaft, rolling noise that swells with each turn, a faint ball pass."""
    run.tones = 0.012 * orders(run.rng, run.phase, (1.0, 0.6, 0.35, 0.25, 0.15, 0.1))
    swell = 1 + 0.15 * np.cos(run.phase) + 0.1 * slow_noise(run.rng, len(run.phase), 5.0)
    run.force = 0.004 * run.load * swell * run.noise()
    run.force += run.hits(OUTER_RACE_ORDER, 0.01, 0.004 * run.load)


def fan(run: Running, blades: int) -> None:
    """An axial fan: blade-pass tones, and flow noise that pulses with the blades and drifts with the draught."""
    run.tones = 0.012 * orders(run.rng, blades * run.phase, (1.0, 0.55, 0.35, 0.2, 0.12, 0.07))
    run.tones += 0.006 * orders(run.rng, run.phase, (1.0, 0.4, 0.2))
    pulse = 1 + 0.25 * np.cos(blades * run.phase) + 0.15 * slow_noise(run.rng, len(run.phase), 4.0)
    run.force = 0.006 * run.load * pulse * run.noise(0.5)


def gearbox(run: Running, teeth: int, ratio: float) -> None:
    """One gear stage: tooth-mesh harmonics with sidebands at both shafts' speeds, friction noise in the mesh.

    `teeth` of the pinion on the input shaft; the output shaft turns `ratio` times as fast.
    """
    mesh = orders(run.rng, teeth * run.phase, (1.0, 0.5, 0.3, 0.2, 0.1, 0.06))
    eccentric = 1 + 0.15 * np.cos(run.phase) + 0.1 * np.cos(ratio * run.phase + run.rng.uniform(0, 2 * np.pi))
    run.tones = 0.012 * run.load * mesh * eccentric
    friction = 1 + 0.2 * np.cos(teeth * run.phase) + 0.1 * slow_noise(run.rng, len(run.phase), 5.0)
    run.force = 0.004 * run.load * friction * run.noise()


def pump(run: Running, vanes: int) -> None:
    """A centrifugal pump: vane-pass tones, turbulence, and the odd bubble that collapses without harm."""
    run.tones = 0.012 * orders(run.rng, vanes * run.phase, (1.0, 0.5, 0.25, 0.15, 0.1))
    run.tones += 0.005 * orders(run.rng, run.phase, (1.0, 0.5, 0.3))
    run.force = 0.005 * run.load * (1 + 0.15 * slow_noise(run.rng, len(run.phase), 6.0)) * run.noise(0.3)
    run.force += run.hits(0.5, 0.5, 0.02)
