"""A sound file to samples at 16 kHz, or one clear sentence about what is wrong with it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from asdcli.audio.container import AGAIN, Source, open_source
from asdcli.audio.store import SAMPLING_RATE_HZ
from asdcli.errors import UserError

_RATES_HZ = (1_000, 1_000_000)  # beyond these a header is broken, and the filter of a resampler can be of any length
_LARGEST = 1e12  # beyond it no unit is meant, and the power of a spectrum leaves float32
UNKNOWN = 2**63 - 1  # frames of a FLAC that was written to a pipe
_BLOCK = 1 << 24

# What holds more than 16 bits of a sample.
FINE = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE", "VORBIS", "OPUS")
# Rounding to 16 bits adds noise of 2^-15 / sqrt(12); a finer recording that is not 1000 times louder is not rounded.
QUIET_RMS = 1000 * 2.0**-15 / math.sqrt(12)


@dataclass(frozen=True)
class Decoded:
    """One clip as stored: `samples` `[n, channels]` at 16 kHz, and the sampling rate in the file.

    int16, full scale 32768; or float32, full scale 1, where 16 bits would lose what is in the file: a recording finer
    than that which is quiet, or goes beyond full scale.
    """

    samples: np.ndarray
    rate_hz: int


def decode(path: str | Path) -> Decoded:
    """Read one file (WAV of any form and subtype, FLAC, OGG) of any sampling rate and channel count.

    16-bit PCM at 16 kHz comes back bit for bit; anything else is resampled where needed. Raises UserError for a file
    that is missing, unreadable, no sound, empty, truncated, without samples or with values that are not finite.
    """
    samples, rate, fine = _read(path, open_source(path))
    if not len(samples):
        raise UserError(f"{path} holds no samples.", "Remove it, or download it again.")
    if fine:
        check_values(path, samples)
    check_rate(path, rate)
    beyond = fine and bool(np.abs(samples).max() > 1)
    if rate != SAMPLING_RATE_HZ:
        samples = resample(full_scale(samples), rate)
    return Decoded(as_stored(samples, fine, beyond), rate)


def full_scale(samples: np.ndarray) -> np.ndarray:
    """int16, or float64 with full scale 1, to the latter."""
    return samples / 32768 if samples.dtype == np.int16 else samples


def as_stored(samples: np.ndarray, fine: bool, beyond: bool) -> np.ndarray:
    """Samples at 16 kHz, int16 or float64, in the form of `Decoded`.

    fine: whether the file holds more than 16 bits of a sample; beyond: whether it goes beyond full scale.
    """
    if fine and (beyond or 0 < np.square(samples).mean() < QUIET_RMS**2):
        return samples.astype(np.float32, order="C")
    if samples.dtype == np.int16:
        return samples
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16, order="C")


def check_rate(path: str | Path, rate_hz: int) -> None:
    if not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1]:
        raise UserError(f"{path} says that its sampling rate is {rate_hz} Hz, which cannot be.")


class Forward(sf.SoundFile):
    """Read from the first frame to the last. Where a number of frames is unknown, or wrong, soundfile would wind on
    after reading, and fail.
    """

    def seekable(self) -> bool:
        return False


def _read(path: str | Path, source: Source) -> tuple[np.ndarray, int, bool]:
    """Samples (int16, or float64 with full scale 1), sampling rate, and whether they are finer than 16 bits."""
    try:
        with Forward(source.file) as sound:
            rate, frames, form, subtype = sound.samplerate, sound.frames, sound.format, sound.subtype
            samples = _blocks(sound, frames, "int16" if subtype == "PCM_16" else "float64")
    except (sf.SoundFileError, OSError, ValueError) as error:
        raise undecodable(path, error) from None
    if form == "FLAC" and (known := _flac_md5(path)) is not None and subtype in ("PCM_16", "PCM_24"):
        if _md5(samples) != known:
            raise UserError(f"{path} is damaged or cut: its samples are not those that its MD5 was made of.", AGAIN)
    elif len(samples) < frames and frames != UNKNOWN:
        raise UserError(f"{path} is truncated: {len(samples)} of its {frames} frames can be read.", AGAIN)
    # A block of ADPCM or GSM is some hundred frames; a count that is off by more counts something else.
    if source.frames is not None and frames - 4096 < source.frames < frames:
        samples = samples[: source.frames]
    return samples, rate, subtype in FINE


def undecodable(path: str | Path, error: Exception) -> UserError:
    """The error for a file that libsndfile gave up on."""
    why = getattr(error, "error_string", str(error)) or "it is damaged or cut"
    return UserError(f"{path} cannot be decoded: {why}", AGAIN if "damaged" in why else "")


def _blocks(sound: sf.SoundFile, frames: int, dtype: str) -> np.ndarray:
    """All frames; not at once where a header claims so many that it may be wrong.

    Their number has to be told for formats that cannot be wound back, such as GSM.
    """
    if frames <= _BLOCK:
        return sound.read(frames, dtype=dtype, always_2d=True)
    blocks: list[np.ndarray] = []
    while not blocks or len(blocks[-1]):
        blocks.append(sound.read(_BLOCK, dtype=dtype, always_2d=True))
    return np.concatenate(blocks)


def _flac_md5(path: str | Path) -> bytes | None:
    """Of its samples, as its head tells it; a FLAC that was written to a pipe does not know it."""
    with open(path, "rb") as file:
        known = file.read(42)[26:]
    return known if any(known) else None


def _md5(samples: np.ndarray) -> bytes:
    """Of int16 samples, or of 24-bit ones with full scale 1, as FLAC takes it."""
    if samples.dtype == np.int16:
        content = samples.astype("<i2").tobytes()
    else:
        content = np.rint(samples * (1 << 23)).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return hashlib.md5(content, usedforsecurity=False).digest()


def check_values(path: str | Path, samples: np.ndarray) -> None:
    """Raises UserError for values that are not finite, or in no unit of sound."""
    bad = samples.size - np.count_nonzero(np.isfinite(samples))
    if bad:
        raise UserError(f"{path} holds {bad} samples that are NaN or infinite.", "Export it again as 16-bit PCM.")
    largest = float(np.abs(samples).max())
    if largest > _LARGEST:
        raise UserError(f"{path} holds samples up to {largest:.3g}, in no unit of sound.", "Export it again.")


def resample(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """`[n, channels]` float64 at 16 kHz by scipy's polyphase filter: purer than torchaudio's defaults, quicker than its
    best (bench/resample.py).
    """
    from scipy.signal import resample_poly

    shared = math.gcd(rate_hz, SAMPLING_RATE_HZ)
    return resample_poly(samples, SAMPLING_RATE_HZ // shared, rate_hz // shared, axis=0)
