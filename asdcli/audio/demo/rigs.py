"""The test rigs of the demo: which machine, on which structure, with which faults, at which operating points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from asdcli.audio.demo import faults, machines
from asdcli.audio.demo.faults import Fault
from asdcli.audio.demo.machines import Running
from asdcli.audio.demo.signals import Mode


@dataclass(frozen=True)
class Point:
    """An operating point; the fields are named as in file names and attribute tables."""

    spd: int  # shaft speed, Hz
    load: int  # 1 low, 2 nominal, 3 high
    bkg: str  # the hall


@dataclass(frozen=True)
class Conditions:
    """The operating points of one domain."""

    speeds_hz: tuple[int, ...]
    loads: tuple[int, ...]
    halls: tuple[str, ...]

    def draw(self, rng: np.random.Generator) -> Point:
        return Point(int(rng.choice(self.speeds_hz)), int(rng.choice(self.loads)), str(rng.choice(self.halls)))


@dataclass(frozen=True)
class Rig:
    """One machine of one section. `attributes` are the fields of Point that names and tables tell; it may be none."""

    set_name: str
    machine: str
    section: str
    seconds: float
    normal: Callable[[Running], None]
    modes: tuple[Mode, ...]
    faults: tuple[Fault, ...]
    source: Conditions
    target: Conditions
    attributes: tuple[str, ...] = ("spd", "load", "bkg")


# The target domain turns at another speed, mostly with less load (so that a fault strikes less hard), in a louder hall.
RIGS = (
    Rig(
        "dev", "SynBearing", "00", 2.0, machines.bearing,
        ((820.0, 0.04, 0.5), (2350.0, 0.03, 0.7), (4100.0, 0.03, 0.5), (6200.0, 0.05, 0.4)),
        (faults.outer_race, faults.inner_race, faults.imbalance, faults.loose_part),
        Conditions((24, 26, 28), (2, 3), ("A",)),
        Conditions((34, 36), (1,), ("B",)),
    ),
    Rig(
        "dev", "SynFan", "00", 1.6, partial(machines.fan, blades=7),
        ((350.0, 0.3, 0.6), (1200.0, 0.3, 0.5), (2900.0, 0.1, 0.4), (5200.0, 0.2, 0.4)),
        (faults.clogged, faults.imbalance, faults.loose_part, faults.slipping),
        Conditions((20, 22, 24), (2, 3), ("A",)),
        Conditions((27,), (1,), ("C",)),
        attributes=("spd", "bkg"),
    ),
    Rig(
        "dev", "SynFan", "01", 1.6, partial(machines.fan, blades=9),
        ((480.0, 0.3, 0.6), (1500.0, 0.2, 0.5), (3400.0, 0.1, 0.4), (5800.0, 0.2, 0.4)),
        (faults.clogged, faults.imbalance, faults.loose_part, faults.slipping),
        Conditions((30, 33), (2, 3), ("A",)),
        Conditions((25,), (1,), ("B",)),
        attributes=("spd", "bkg"),
    ),
    Rig(
        "dev", "SynGearbox", "00", 2.0, partial(machines.gearbox, teeth=19, ratio=19 / 47),
        ((640.0, 0.05, 0.6), (1450.0, 0.04, 0.6), (3100.0, 0.04, 0.5), (5400.0, 0.05, 0.4)),
        (faults.worn_tooth, faults.outer_race, faults.imbalance, faults.loose_part),
        Conditions((18, 20, 22), (1, 2, 3), ("A",)),
        Conditions((25, 27), (2,), ("C",)),
        attributes=(),
    ),
    Rig(
        "eval", "SynPump", "00", 2.5, partial(machines.pump, vanes=6),
        ((410.0, 0.06, 0.5), (1100.0, 0.05, 0.5), (2600.0, 0.05, 0.4), (4700.0, 0.05, 0.5)),
        (faults.cavitation, faults.outer_race, faults.imbalance, faults.slipping),
        Conditions((24, 25), (2, 3), ("A", "B")),
        Conditions((29, 30), (1,), ("C",)),
    ),
)  # fmt: skip
