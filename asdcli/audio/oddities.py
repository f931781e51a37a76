"""What is odd about clips: silent, constant, clipped, beyond full scale, far from their siblings, or there twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from asdcli.audio.clips import ClipTable
from asdcli.challenge.editions.clipnames import EXCLUDED
from asdcli.errors import few

_CLIPPED_SAMPLES = 8  # at full scale, each beside another: fewer may be a loud sound that just reached it
_FAR_DB, _FAR_FACTOR = 20.0, 2.0  # from the median of a machine, in level and in length ...
_FAR_DEVIATIONS = 6.0  # ... and in median absolute deviations, which are large where clips differ anyway
_NAMED = 2


@dataclass(frozen=True)
class Measures:
    """What packing has seen of each clip. Columns `[clips]`; levels with full scale 1.

    fine: whether the clip is float32. quietest: the largest sample of the channel in which it is smallest. clipped:
    samples at full scale beside others.
    """

    rate_hz: np.ndarray
    fine: np.ndarray
    frames: np.ndarray
    peak: np.ndarray
    quietest: np.ndarray
    rms: np.ndarray
    constant: np.ndarray
    clipped: np.ndarray

    @classmethod
    def of(cls, rows: Iterable[Sequence[float]]) -> Measures:
        """From what `measure` gives for each clip."""
        columns = np.array(list(rows), dtype=np.float64).reshape(-1, len(fields(cls))).T
        return cls(*columns)

    def rows(self) -> list[list[float]]:
        """The inverse of `of`, ready for JSON."""
        return np.stack([getattr(self, field.name) for field in fields(self)], axis=1).tolist()


def measure(samples: np.ndarray, rate_hz: int) -> list[float]:
    """Of one clip as stored, `[n, channels]` int16 or float32: a row of `Measures`."""
    scale = 1 / 32768 if samples.dtype == np.int16 else 1.0
    channels = samples.T  # one after the other: minima over an axis of few are slow
    lowest = np.array([channel.min() for channel in channels], np.float64)
    highest = np.array([channel.max() for channel in channels], np.float64)
    peaks = np.maximum(np.abs(lowest), np.abs(highest))
    flat = samples.ravel().astype(np.float32)
    rms = float(np.sqrt(np.dot(flat, flat) / len(flat)))
    at_full_scale = highest.max() >= 32767 or lowest.min() <= -32768
    clipped = _clipped(samples) if samples.dtype == np.int16 and at_full_scale else 0
    constant = float((lowest == highest).all())
    fine = float(samples.dtype != np.int16)
    return [rate_hz, fine, len(samples), peaks.max() * scale, peaks.min() * scale, rms * scale, constant, clipped]


def _clipped(samples: np.ndarray) -> int:
    full = (samples >= 32767) | (samples <= -32768)
    return int(np.count_nonzero(full[1:] & full[:-1] & (samples[1:] == samples[:-1])))


@dataclass(frozen=True)
class Oddity:
    """Some clips, by row, and what they are, in words that follow their number: `are silent`."""

    rows: np.ndarray
    one: str
    many: str

    def sentence(self, clips: ClipTable) -> str:
        """One sentence that names the machine and the first clips."""
        named = few(clips.path[self.rows].tolist(), _NAMED)
        return f"{self._told(f' of {clips.machine[self.rows[0]]}')}: {named}."

    def in_full(self, clips: ClipTable) -> str:
        """All clips, by name."""
        return f"{self._told()}: {', '.join(clips.path[self.rows].tolist())}"

    def _told(self, of: str = "") -> str:
        count = len(self.rows)
        return f"{count} clip{'s' * (count != 1)}{of} {self.one if count == 1 else self.many}"


def odd_clips(clips: ClipTable, measures: Measures, hashes: np.ndarray) -> Iterator[Oddity]:
    """Of one machine. hashes: str `[clips]`, equal for equal samples."""
    silent = _silent(measures)
    constant = (measures.constant > 0) & ~silent
    sounding = ~silent & ~constant
    up_to = f"beyond full scale, up to {measures.peak.max():.6g}, and"
    yield from _those(silent, "is silent", "are silent")
    yield from _those(constant, "is one value throughout", "are one value throughout")
    yield from _those((measures.quietest == 0) & ~silent, "has a silent channel", "have a silent channel")
    yield from _those(measures.clipped >= _CLIPPED_SAMPLES, "is clipped", "are clipped")
    yield from _those(measures.peak > 1, f"goes {up_to} is kept so", f"go {up_to} are kept so")
    level = _from_median(20 * np.log10(np.maximum(measures.rms, 1e-30)), sounding, _FAR_DB)
    yield from _those(level < 0, *_is_are(f"at least {_FAR_DB:.0f} dB quieter than most"))
    yield from _those(level > 0, *_is_are(f"at least {_FAR_DB:.0f} dB louder than most"))
    length = _from_median(np.log2(measures.frames), measures.frames > 0, np.log2(_FAR_FACTOR))
    yield from _those(length < 0, *_is_are("less than half as long as most"))
    yield from _those(length > 0, *_is_are("more than twice as long as most"))
    yield from same_samples(clips, comparable(measures, hashes))


def comparable(measures: Measures, hashes: np.ndarray) -> np.ndarray:
    """The hashes of clips that hold a sound, "" for the others: equal silence is no copy."""
    return np.where(_silent(measures) | (measures.constant > 0), "", hashes)


def _silent(measures: Measures) -> np.ndarray:
    return measures.peak <= np.where(measures.fine, 0, 1 / 32768)


def excluded_clips(clips: ClipTable) -> Iterator[Oddity]:
    """Those that nothing is trained on."""
    yield from _those(clips.split == EXCLUDED, *_is_are("among the training clips and labelled anomalous"))


def same_samples(clips: ClipTable, hashes: np.ndarray) -> Iterator[Oddity]:
    """Clips whose samples are also those of a clip of another label, or of a training clip; "" is not compared."""
    groups: dict[str, list[int]] = {}
    for row, value in enumerate(hashes.tolist()):
        groups.setdefault(value, []).append(row)
    groups.pop("", None)
    both, leaked = np.zeros(len(clips), bool), np.zeros(len(clips), bool)
    for rows in (found for found in groups.values() if len(found) > 1):
        both[rows] = len(set(clips.label[rows].tolist()) & {0, 1}) == 2
        splits = clips.split[rows]
        leaked[rows] = (splits == "test") & bool((splits == "train").any())
    yield from _those(both, "has the samples of another", "have the same samples under both labels")
    yield from _those(leaked, "has the samples of a training clip", "have the samples of a training clip each")


def _those(mask: np.ndarray, one: str, many: str) -> Iterator[Oddity]:
    if mask.any():
        yield Oddity(np.flatnonzero(mask), one, many)


def _is_are(words: str) -> tuple[str, str]:
    return f"is {words}", f"are {words}"


def _from_median(values: np.ndarray, mask: np.ndarray, limit: float) -> np.ndarray:
    """How far values are from the median of those of the mask; 0 where that is not far, and beside the mask."""
    if not mask.any():
        return np.zeros(len(values))
    away = values - np.median(values[mask])
    usual = _FAR_DEVIATIONS * np.median(np.abs(away[mask]))
    return np.where(mask & (np.abs(away) >= max(limit, usual)), away, 0.0)
