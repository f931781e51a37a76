"""A sound file in windows of one length, as a network hears clips; however long it is, little of it is in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from asdcli.audio.container import AGAIN, open_source
from asdcli.audio.decode import (
    FINE,
    UNKNOWN,
    Forward,
    as_stored,
    check_rate,
    check_values,
    decode,
    full_scale,
    resample,
    undecodable,
)
from asdcli.audio.store import SAMPLING_RATE_HZ
from asdcli.errors import UserError

BLOCK_S = 4  # read at once
TAPS = 10  # half the length of scipy's filter for resampling, in samples of the lower rate


@dataclass(frozen=True)
class Window:
    """A part of a recording: samples `[n, channels]` at 16 kHz in the form of `decode`, from sample `begin` on."""

    begin: int
    samples: np.ndarray

    @property
    def seconds(self) -> tuple[float, float]:
        """When in the recording it begins and ends."""
        return self.begin / SAMPLING_RATE_HZ, (self.begin + len(self.samples)) / SAMPLING_RATE_HZ


def windows(path: str | Path, length: int, hop: int) -> Iterator[Window]:
    """The windows of a file, `hop` samples apart, each of `length`; the last one ends where the file does.

    A file that is no longer than one window comes whole, sample by sample as it is packed. Raises UserError as `decode`
    does; what is wrong with the end of a long file is told when it is reached.
    """
    due, first, held = 0, 0, np.empty((0, 1))  # where the next window begins, and what is held from sample `first` on
    fine = False
    for block, fine in _at_16_khz(path):
        held = np.concatenate([held, block]) if len(held) else block
        while first + len(held) > due + length:
            yield _window(due, held[due - first :][:length], fine)
            due += hop
        kept = max(0, min(due - first, len(held) - length))
        first, held = first + kept, held[kept:]
    if due == 0:
        yield Window(0, decode(path).samples)
    else:
        yield _window(first + len(held) - length, held[-length:], fine)


def _window(begin: int, samples: np.ndarray, fine: bool) -> Window:
    return Window(begin, as_stored(samples, fine, fine and bool(np.abs(samples).max() > 1)))


def _at_16_khz(path: str | Path) -> Iterator[tuple[np.ndarray, bool]]:
    """A file block by block: `[n, channels]`, int16 or float64 with full scale 1; and whether it is finer than 16 bits.

    Resampled blocks are those of the whole file: each is resampled with as much on both sides as the filter sees.
    """
    blocks = _blocks(path)
    rate, fine, block = next(blocks)
    if rate == SAMPLING_RATE_HZ:
        yield block, fine
        for _, _, block in blocks:
            yield block, fine
        return
    shared = math.gcd(rate, SAMPLING_RATE_HZ)
    up, down = SAMPLING_RATE_HZ // shared, rate // shared
    margin = down * math.ceil((TAPS * max(up, down) / up + 1) / down)
    before, here = block[:0], full_scale(block)
    for _, _, block in blocks:
        following = full_scale(block)
        made = resample(np.concatenate([before, here, following[:margin]]), rate)
        skip = len(before) * up // down
        yield made[skip : skip + len(here) * up // down], fine
        before, here = np.concatenate([before, here])[-margin:], following
    yield resample(np.concatenate([before, here]), rate)[len(before) * up // down :], fine


def _blocks(path: str | Path) -> Iterator[tuple[int, bool, np.ndarray]]:
    """Rate, fineness and samples of a file, in blocks of whole seconds but for the last one; none is empty."""
    source = open_source(path)
    try:
        with Forward(source.file) as sound:
            rate, frames, subtype = sound.samplerate, sound.frames, sound.subtype
            check_rate(path, rate)
            dtype, fine = "int16" if subtype == "PCM_16" else "float64", subtype in FINE
            left, read = source.frames or UNKNOWN, 0
            while len(block := sound.read(min(BLOCK_S * rate, left), dtype=dtype, always_2d=True)):
                if fine:
                    check_values(path, block)
                read, left = read + len(block), left - len(block)
                yield rate, fine, block
    except (sf.SoundFileError, OSError, ValueError) as error:
        raise undecodable(path, error) from None
    if not read:
        raise UserError(f"{path} holds no samples.", "Remove it, or download it again.")
    if read < frames != UNKNOWN and source.frames is None:
        raise UserError(f"{path} is truncated: {read} of its {frames} frames can be read.", AGAIN)
