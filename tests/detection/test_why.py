"""Faults planted into clips of the demo's machines are named rightly, and normal clips have none worth naming."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from asdcli.audio.demo.plan import Clip, plan
from asdcli.audio.portrait import portrait, stacked
from asdcli.detection import why
from asdcli.detection.why import NormalSound, Reason

RATE = 16_000
MACHINES = ("SynBearing", "SynFan", "SynGearbox", "SynPump")
HARMONIC = {"SynFan": 7, "SynGearbox": 19, "SynPump": 6}  # orders of the shaft: blades, teeth, vanes
TONE_HZ, LOUDER_DB, KNOCKS_HZ = 3140.0, 15.0, 6


@cache
def clips(machine: str) -> list[Clip]:
    return [clip for clip in plan(0) if clip.rig.machine == machine and clip.rig.section == "00"]


@cache
def normal(machine: str) -> NormalSound:
    train = [clip for clip in clips(machine) if clip.split == "train"]
    return NormalSound(stacked([portrait(sound(clip)) for clip in train]))


@cache
def sound(clip: Clip) -> np.ndarray:
    return clip.samples(0) / 32768


def heard(machine: str) -> list[Clip]:
    """Normal clips that the bank does not hold."""
    return [clip for clip in clips(machine) if (clip.split, clip.label, clip.domain) == ("test", 0, "source")][1:4]


def with_tone(clip: np.ndarray) -> np.ndarray:
    return clip + 0.4 * clip.std() * np.sin(2 * np.pi * TONE_HZ * np.arange(len(clip)) / RATE)


def with_knocks(clip: np.ndarray) -> np.ndarray:
    rng, knocking = np.random.default_rng(0), clip.copy()
    knock = 6 * clip.std() * np.exp(-np.arange(400) / 60) * rng.standard_normal(400)
    for begin in range(RATE // 2, len(clip) - 400, RATE // KNOCKS_HZ):
        knocking[begin : begin + 400] += knock
    return knocking


def without_harmonic(clip: np.ndarray, hz: float) -> np.ndarray:
    """The tone of this pitch is brought to the level around it."""
    spectrum, at = np.fft.rfft(clip), np.fft.rfftfreq(len(clip), 1 / RATE)
    tone = np.abs(at - hz) < 8 + 0.02 * hz
    around = (np.abs(at - hz) < 60 + 0.02 * hz) & ~tone
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, tone.sum())
    spectrum[tone] = np.median(np.abs(spectrum[around])) * np.exp(1j * phase)
    return np.fft.irfft(spectrum, len(clip))


def with_dropout(clip: np.ndarray) -> np.ndarray:
    silent = clip.copy()
    silent[RATE // 2 : RATE // 2 + RATE // 10] *= 0.003
    return silent


def reasons(machine: str, change) -> list[Reason]:
    return [normal(machine).why(change(sound(clip))) for clip in heard(machine)]


@pytest.mark.parametrize("machine", MACHINES)
def test_a_tone_is_named_with_its_pitch(machine: str) -> None:
    for found in reasons(machine, with_tone):
        assert found.kind == "tone"
        assert found.low_hz == pytest.approx(TONE_HZ, abs=16)
        assert found.decibels > 6
        assert found.sentence.startswith(f"A tone near {found.low_hz:.0f} Hz, ")


@pytest.mark.parametrize("machine", MACHINES)
def test_a_train_of_knocks_is_named_with_its_time_and_count(machine: str) -> None:
    for clip, found in zip(heard(machine), reasons(machine, with_knocks), strict=True):
        assert found.kind == "bursts"
        assert found.begin_s == pytest.approx(0.5, abs=0.03)
        count = len(range(RATE // 2, len(sound(clip)) - 400, RATE // KNOCKS_HZ))
        assert f"broadband, {count} from 0.5 to" in found.sentence


@pytest.mark.parametrize("machine", MACHINES)
def test_a_rise_of_the_level_is_named_with_its_size(machine: str) -> None:
    for clip in heard(machine):
        found, louder = (normal(machine).why(10 ** (gain / 20) * sound(clip)) for gain in (LOUDER_DB, LOUDER_DB + 6))
        assert found.kind == "level"
        assert found.sentence.startswith("At all frequencies")
        assert "above normal, broadband, steady" in found.sentence
        assert louder.decibels - found.decibels == pytest.approx(6, abs=0.5)
        assert louder.nearest == found.nearest


@pytest.mark.parametrize("machine", HARMONIC)
def test_a_harmonic_that_is_missing_is_named_with_its_pitch(machine: str) -> None:
    for clip in heard(machine):
        hz = HARMONIC[machine] * clip.point.spd
        found = normal(machine).why(without_harmonic(sound(clip), hz))
        assert found.kind == "missing tone"
        assert found.low_hz == pytest.approx(hz, rel=0.05, abs=16)
        assert "is missing" in found.sentence
        assert found.decibels < -6


@pytest.mark.parametrize("machine", MACHINES)
def test_a_dropout_is_named_with_its_time(machine: str) -> None:
    for found in reasons(machine, with_dropout):
        assert found.kind == "dropout"
        assert (found.begin_s, found.end_s) == (pytest.approx(0.5, abs=0.03), pytest.approx(0.6, abs=0.03))
        assert found.sentence.startswith("The sound drops out from 0.5 to 0.6 s")


@pytest.mark.parametrize(("end", "when"), [(1.04, "at 1.0 s"), (1.06, "from 1.0 to 1.1 s")])
def test_what_is_over_in_a_moment_is_at_one_time(end: float, when: str) -> None:
    place = why._Difference(20.0, 20.0, 8000.0, -20.0, np.arange(3))
    assert f"drops out {when}:" in why._sentence("dropout", place, 1.0, end, 2.0, np.zeros(1))


@pytest.mark.parametrize("machine", MACHINES)
def test_of_normal_clips_nothing_stands_out_much(machine: str) -> None:
    found = reasons(machine, lambda clip: clip)
    assert max(one.evidence for one in found) < 2.5
    assert any(one.kind == "none" for one in found)


def test_one_normal_clip_is_enough_and_silence_is_no_trouble() -> None:
    clip = sound(heard("SynFan")[0])
    only = NormalSound(stacked([portrait(clip)]))
    assert only.why(clip).kind == "none"
    assert only.why(with_tone(clip)).kind == "tone"
    assert only.why(np.zeros(len(clip))).kind == "level"
    assert NormalSound(stacked([portrait(np.zeros(8000))] * 2)).why(clip[:8000]).kind != "none"
    assert only.why(clip[:100]).sentence
