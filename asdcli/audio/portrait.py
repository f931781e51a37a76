"""What a clip sounds like, in few numbers that can be compared and told in words; no recipe counts."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from asdcli.audio.store import SAMPLING_RATE_HZ

FINE, SHORT = 2048, 256  # samples of a frame: 8 Hz apart for tones, 16 ms for bursts
STEP = 4  # frames overlap so often
FINE_HZ = np.fft.rfftfreq(FINE, 1 / SAMPLING_RATE_HZ)
EDGES_HZ = 125.0 * 2 ** (np.arange(19) / 3)  # third octaves up to 8 kHz
EMPTY_DB = -120.0  # below it nothing is told apart
LOUD = 0.98  # quantile over time that bursts reach


@dataclass(frozen=True)
class Portrait:
    """Levels in dB re full scale; of one clip, or stacked along a first axis.

    spectrum: median over time, `[..., fine bins]`; bands: the same of third octaves, `[..., bands]`; crest: how far the
    loud moments of a band lie above its median; dip: how far the quietest moment of the clip lies below it.
    """

    spectrum: np.ndarray
    bands: np.ndarray
    crest: np.ndarray
    dip: np.ndarray

    def __len__(self) -> int:
        return len(self.bands)

    def __getitem__(self, rows: int | np.ndarray) -> Portrait:
        return Portrait(*(getattr(self, field.name)[rows] for field in fields(self)))


def stacked(portraits: list[Portrait]) -> Portrait:
    """Portraits of several clips as one."""
    return Portrait(*(np.stack([getattr(one, field.name) for one in portraits]) for field in fields(Portrait)))


def portrait(waveform: np.ndarray) -> Portrait:
    """Of a clip at 16 kHz, float `[n]` with full scale 1, at least one frame long."""
    bands, levels = band_levels(waveform), frame_levels(waveform)
    middle = np.median(bands, 1)
    spectrum = np.median(_decibels(_powers(waveform, FINE)), 0)
    return Portrait(spectrum, middle, np.quantile(bands, LOUD, axis=1) - middle, np.median(levels) - levels.min())


def band_levels(waveform: np.ndarray) -> np.ndarray:
    """Level of each third octave over time, `[bands, frames]`; frames are `FRAME_S` apart."""
    hz = np.fft.rfftfreq(SHORT, 1 / SAMPLING_RATE_HZ)
    overlap = np.minimum(hz + 31.25, EDGES_HZ[1:, None]) - np.maximum(hz - 31.25, EDGES_HZ[:-1, None])
    return _decibels(np.maximum(overlap, 0) / 62.5 @ _powers(waveform, SHORT).T)


def frame_levels(waveform: np.ndarray) -> np.ndarray:
    """Level over time, `[frames]`."""
    return _decibels(np.square(_frames(waveform, SHORT)).mean(1))


FRAME_S = SHORT / STEP / SAMPLING_RATE_HZ


def _frames(waveform: np.ndarray, size: int) -> np.ndarray:
    padded = np.pad(waveform, (0, max(0, size - len(waveform))))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // STEP]


def _powers(waveform: np.ndarray, size: int) -> np.ndarray:
    """Power of each frame, `[frames, bins]`; a tone's power is the square of its effective value."""
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    spectra = np.fft.rfft(_frames(waveform.astype(np.float32), size) * window)
    return 2 * np.square(np.abs(spectra)) / window.sum() ** 2


def _decibels(power: np.ndarray) -> np.ndarray:
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (EMPTY_DB / 10))))
