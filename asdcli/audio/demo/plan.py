"""Which clips there are: splits, domains, labels, operating points, and names in the form of the newest editions."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from asdcli.audio.demo.faults import Fault
from asdcli.audio.demo.rigs import RIGS, Point, Rig
from asdcli.audio.demo.scene import record
from asdcli.audio.demo.signals import Array

TRAINING_CLIPS = {"source": 50, "target": 10}
TEST_CLIPS = 20  # of each domain, normal and anomalous
LABELS = ("normal", "anomaly")
CLIPS = len(RIGS) * (sum(TRAINING_CLIPS.values()) + len(TRAINING_CLIPS) * len(LABELS) * TEST_CLIPS)


@dataclass(frozen=True)
class Clip:
    """One clip to be made."""

    rig: Rig
    split: str
    domain: str
    label: int  # 0 normal, 1 anomaly
    point: Point
    fault: Fault | None
    amount: float  # of the fault, 0.2 to 1
    key: str  # which clip of the rig this is, whatever its name tells
    name: str  # of the file

    @property
    def attributes(self) -> dict[str, str]:
        """What is told of the operating point."""
        return {field: str(getattr(self.point, field)) for field in self.rig.attributes}

    def samples(self, seed: int) -> Array:
        """The clip's sound, int16 `[n]`."""
        rng = _generator(seed, self.rig, f"{self.key} sound")
        return record(rng, self.rig, self.point, self.fault, self.amount)


def plan(seed: int) -> list[Clip]:
    """Every clip of the demo, in a fixed order."""
    return [clip for rig in RIGS for clip in (*_training(rig, seed), *_test(rig, seed))]


def _generator(seed: int, rig: Rig, key: str) -> np.random.Generator:
    """Random numbers that belong to one thing: the same whatever else is made before it or beside it."""
    return np.random.default_rng([seed, zlib.crc32(f"{rig.machine} {rig.section} {key}".encode())])


def _training(rig: Rig, seed: int) -> Iterator[Clip]:
    for domain, count in TRAINING_CLIPS.items():
        yield from (_clip(rig, seed, "train", domain, 0, i) for i in range(count))


def _test(rig: Rig, seed: int) -> list[Clip]:
    cells = [(domain, label) for domain in TRAINING_CLIPS for label in range(len(LABELS))]
    clips = [_clip(rig, seed, "test", domain, label, i) for domain, label in cells for i in range(TEST_CLIPS)]
    if rig.set_name == "dev":
        return clips
    order = _generator(seed, rig, "order").permutation(len(clips))  # an evaluation set does not tell labels
    return [replace(clips[i], name=f"section_{rig.section}_{number:04d}.wav") for number, i in enumerate(order)]


def _clip(rig: Rig, seed: int, split: str, domain: str, label: int, index: int) -> Clip:
    key = f"{domain}_{split}_{LABELS[label]}_{index:04d}"
    rng = _generator(seed, rig, key)
    point = (rig.source if domain == "source" else rig.target).draw(rng)
    fault, amount = _fault(rig, rng, index) if label else (None, 0.0)
    clip = Clip(rig, split, domain, label, point, fault, amount, key, "")
    tail = "_".join(f"{field}_{value}" for field, value in clip.attributes.items()) or "noAttribute"
    return replace(clip, name=f"section_{rig.section}_{key}_{tail}.wav")


def _fault(rig: Rig, rng: np.random.Generator, index: int) -> tuple[Fault, float]:
    """Faults take turns, and each one goes from faint to plain over 14 dB in even steps."""
    step, which = divmod(index, len(rig.faults))
    severity = (step + rng.random()) * len(rig.faults) / TEST_CLIPS
    return rig.faults[which], 10 ** (0.7 * (severity - 1))
