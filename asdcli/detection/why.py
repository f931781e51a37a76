"""Why a clip was called anomalous, in a plain sentence: how it differs from the normal clips that it is most like.

Five things are looked for: a new tone, a missing one, bands that are louder or quieter, bursts, and a dropout. How
large each of them is among normal clips (each against the others) tells how much one means; the one that stands out
most is named. This is told by sound alone: it may not be what the detector went by.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from asdcli.audio.portrait import EDGES_HZ, FINE_HZ, FRAME_S, Portrait, band_levels, frame_levels, portrait

LIKE = 3  # normal clips that a clip is compared with
FAR_DB = 10.0
ADJACENT = 3  # third octaves that are louder together make noise; a tone raises two at most
LARGE = 0.9  # quantile among normal clips; beyond it a difference is worth naming
LEAST_DB = 2.0  # what nobody would call a difference
PITCH = 0.012  # by so much the tones of a machine may move
AROUND_HZ = 200.0  # what is less wide than this and stands out of it is a tone


@dataclass(frozen=True)
class Reason:
    """kind: `tone`, `missing tone`, `level`, `bursts`, `dropout` or `none`.

    low_hz, high_hz: where; decibels: above normal, or below where it is negative; begin_s, end_s: when, in the clip.
    evidence: how far beyond what normal clips show, in units of their own spread. nearest: number of the normal clip
    that is most like it.
    """

    kind: str
    low_hz: float
    high_hz: float
    decibels: float
    begin_s: float
    end_s: float
    evidence: float
    nearest: int
    sentence: str


class NormalSound:
    """What a machine's normal clips sound like.

    Args:
        clips: their portraits, stacked.
    """

    def __init__(self, clips: Portrait) -> None:
        self.clips = clips

    def why(self, waveform: np.ndarray) -> Reason:
        """The reason for a clip, float `[n]` at 16 kHz."""
        one = portrait(waveform)
        like = self._like(one)
        found = _differences(one, self.clips[like])
        typical, spread = self._usual
        evidence = {kind: (found[kind].size - typical[kind]) / spread[kind] for kind in found}
        kind = max(evidence, key=lambda name: evidence[name])
        if evidence[kind] <= 1:
            return Reason("none", *_ALL, 0.0, 0.0, 0.0, evidence[kind], int(like[0]), _NOTHING)
        place = found[kind]
        begin, end = _when(kind, place, waveform)
        sentence = _sentence(kind, place, begin, end, len(waveform) / 16000, waveform)
        about = (place.low_hz, place.high_hz, place.decibels, begin, end, evidence[kind])
        return Reason(kind, *about, int(like[0]), sentence)

    def _like(self, one: Portrait, without: int | None = None) -> np.ndarray:
        """The normal clips that a clip is most like but for its level, nearest first.

        What differs most among normal clips counts most: the tones tell at which speed a machine runs. How much a place
        differs counts up to FAR_DB, so that one that is wrong does not hide what the others are like.
        """
        difference = self.clips.spectrum - one.spectrum
        difference = np.abs(difference - np.median(difference, 1, keepdims=True))
        distance = np.minimum(difference, FAR_DB) @ self._telling
        if without is not None:
            distance[without] = np.inf
        return np.argsort(distance, kind="stable")[: max(1, min(LIKE, len(distance) - (without is not None)))]

    @cached_property
    def _telling(self) -> np.ndarray:
        """How much each bin counts, `[bins]`."""
        centred = self.clips.spectrum - np.median(self.clips.spectrum, 1, keepdims=True)
        return np.asarray(centred.std(0) + 1e-6)

    @cached_property
    def _usual(self) -> tuple[dict[str, float], dict[str, float]]:
        """Of each kind its median among normal clips, each against the others, and how far beyond it large ones are."""
        alone = len(self.clips) == 1
        sizes: dict[str, list[float]] = {}
        for row in range(len(self.clips)):
            one = self.clips[row]
            like = self._like(one, None if alone else row)
            for kind, found in _differences(one, self.clips[like]).items():
                sizes.setdefault(kind, []).append(found.size)
        typical = {kind: float(np.median(values)) for kind, values in sizes.items()}
        spread = {
            kind: max(LEAST_DB, float(np.quantile(values, LARGE)) - typical[kind]) for kind, values in sizes.items()
        }
        return typical, spread


@dataclass(frozen=True)
class _Difference:
    """size: in dB, for comparison with that of normal clips."""

    size: float
    low_hz: float
    high_hz: float
    decibels: float
    bands: np.ndarray  # numbers of third octaves


_ALL = (float(EDGES_HZ[0]), float(EDGES_HZ[-1]))
_NOTHING = "No band stands out of what normal clips show"
_BANDS = np.arange(len(EDGES_HZ) - 1)


def _differences(one: Portrait, like: Portrait) -> dict[str, _Difference]:
    """How a clip differs from normal ones, by kind."""
    bands = one.bands - np.median(like.bands, 0)
    offset = float(np.median(bands))
    crest = one.crest - np.median(like.crest, 0)
    return {
        "tone": _tone(one.spectrum - offset, like.spectrum, 1),
        "missing tone": _tone(one.spectrum - offset, like.spectrum, -1),
        "level": _level(bands),
        "bursts": _band(crest, float(np.sort(crest)[-ADJACENT:].mean())),
        "dropout": _Difference(float(one.dip), *_ALL, -float(one.dip), _BANDS),
    }


def _tone(spectrum: np.ndarray, like: np.ndarray, sign: int) -> _Difference:
    """The largest peak that normal clips have not, or that they have and the clip has not. like: `[clips, bins]`."""
    if sign > 0:
        excess = spectrum - _widened(like).max(0)
    else:
        excess = _widened(like).min(0) - _widened(spectrum)
    width = 2 * round(AROUND_HZ / FINE_HZ[1]) + 1
    around = np.median(np.lib.stride_tricks.sliding_window_view(np.pad(excess, width // 2, mode="edge"), width), 1)
    standing = excess - np.maximum(around, 0 if sign > 0 else around.min())
    usual = np.median(like, 0)
    standing[FINE_HZ < 40] = -np.inf
    if sign < 0:  # only where normal clips have a peak
        standing[usual < _widened(usual)] = -np.inf
    peak = int(standing.argmax())
    size = float(standing[peak])
    hz, decibels = float(FINE_HZ[peak]), float(spectrum[peak] - usual[peak])
    return _Difference(size, hz, hz, decibels, np.flatnonzero((EDGES_HZ[:-1] <= hz) & (hz < EDGES_HZ[1:])))


def _widened(spectrum: np.ndarray) -> np.ndarray:
    """`[..., bins]`: the largest value within the pitch that a tone may have moved by."""
    reach = np.maximum(2, np.round(PITCH * FINE_HZ / FINE_HZ[1])).astype(int)
    widest = int(reach.max())
    padded = np.pad(spectrum, [(0, 0)] * (spectrum.ndim - 1) + [(widest, widest)], mode="edge")
    seen = np.lib.stride_tricks.sliding_window_view(padded, 2 * widest + 1, axis=-1)
    inside = np.abs(np.arange(-widest, widest + 1)) <= reach[:, None]
    return np.asarray(np.where(inside, seen, -np.inf).max(-1))


def _level(bands: np.ndarray) -> _Difference:
    """The most that adjacent third octaves are all louder, or all quieter."""
    seen = np.lib.stride_tricks.sliding_window_view(bands, ADJACENT)
    louder, quieter = seen.min(1).max(), -seen.max(1).min()
    return _band(bands if louder >= quieter else -bands, float(max(louder, quieter)), 1 if louder >= quieter else -1)


def _band(difference: np.ndarray, size: float, sign: int = 1) -> _Difference:
    """The third octaves around the largest difference that have half of it or more."""
    seen = np.lib.stride_tricks.sliding_window_view(difference, ADJACENT).min(1)
    low = int(seen.argmax())
    high = low + ADJACENT
    least = 0.5 * difference[low:high].mean()
    while low > 0 and difference[low - 1] >= least:
        low -= 1
    while high < len(difference) and difference[high] >= least:
        high += 1
    decibels = sign * float(difference[low:high].mean())
    return _Difference(size, float(EDGES_HZ[low]), float(EDGES_HZ[high]), decibels, np.arange(low, high))


def _when(kind: str, place: _Difference, waveform: np.ndarray) -> tuple[float, float]:
    """When in the clip: of bursts from the first to the last, of a dropout how long it lasts; else all of it."""
    if kind == "dropout":
        levels = frame_levels(waveform)
        quiet = np.flatnonzero(levels < np.median(levels) - 0.5 * place.size)
        return _seconds(quiet)
    if kind == "bursts":
        return _seconds(_bursts(place, waveform))
    return 0.0, len(waveform) / 16000


def _bursts(place: _Difference, waveform: np.ndarray) -> np.ndarray:
    """Frames in which the bands of bursts are half as loud (in dB) above their median as they get."""
    level = band_levels(waveform)[place.bands].mean(0)
    level = level - np.median(level)
    return np.flatnonzero(level > 0.5 * level.max())


def _seconds(frames: np.ndarray) -> tuple[float, float]:
    return float(frames[0] * FRAME_S), float((frames[-1] + 1) * FRAME_S)


def _sentence(kind: str, place: _Difference, begin: float, end: float, seconds: float, waveform: np.ndarray) -> str:
    whole = place.low_hz <= EDGES_HZ[1] and place.high_hz >= EDGES_HZ[-2]
    band = "At all frequencies" if whole else f"Between {place.low_hz:.0f} and {place.high_hz:.0f} Hz"
    moved = f"{abs(place.decibels):.0f} dB {'above' if place.decibels > 0 else 'below'} normal"
    first, last = f"{begin:.1f}", f"{end:.1f}"
    when = f"at {first} s" if first == last else f"from {first} to {last} s"
    if kind == "tone":
        return f"A tone near {place.low_hz:.0f} Hz, {moved}, steady"
    if kind == "missing tone":
        return f"The tone near {place.low_hz:.0f} Hz is missing: {moved}, steady"
    if kind == "level":
        return f"{band} {moved}, broadband, steady"
    if kind == "dropout":
        return f"The sound drops out {when}: {moved} for all frequencies"
    count = _groups(_bursts(place, waveform))
    return f"{band} bursts {moved}, broadband, {count} {when}"


def _groups(frames: np.ndarray) -> str:
    """How many bursts these frames are of, less than 50 ms apart counting as one."""
    count = 1 + int((np.diff(frames) * FRAME_S > 0.05).sum())
    return "one" if count == 1 else str(count)
