"""A wav file to 16-bit samples at 16 kHz, or one clear sentence about what is wrong with it."""

from __future__ import annotations

import io
import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile as sf

from asdcli.errors import UserError, reason

SAMPLING_RATE_HZ = 16_000
_RATES_HZ = (1_000, 1_000_000)  # beyond these a header is broken, and the filter of a resampler can be of any length
CHANNEL_MIXES = ("mean", "difference")

# Programs that write to a pipe cannot go back to fill in the size of the samples: ffmpeg leaves 0xFFFFFFFF, sox and
# arecord a number just below 0x80000000. No clip is that long, so such a size means "up to the end of the file".
_OPEN_ENDED_BYTES = 0x7FFF_0000


@dataclass(frozen=True)
class Decoded:
    """One clip as stored: `samples` int16 [n, channels] at 16 kHz, and what had to be done to get there."""

    samples: np.ndarray
    rate_hz: int  # sampling rate in the file
    clipped: int  # float samples beyond +-1 in the file


def decode(path: str | Path) -> Decoded:
    """Read one wav file of any subtype, sampling rate and channel count.

    16-bit PCM at 16 kHz comes back bit for bit; anything else is resampled where needed, scaled so that 1.0 is 32768,
    rounded and clipped. Raises UserError for a file that is missing, unreadable, not a wav, empty, truncated, without
    samples or with values that are not finite.
    """
    source = _checked(path)
    try:
        with sf.SoundFile(source) as wav:
            rate, pcm16 = wav.samplerate, wav.subtype == "PCM_16"
            samples = wav.read(dtype="int16" if pcm16 else "float64", always_2d=True)
    except (sf.LibsndfileError, OSError) as error:
        raise UserError(f"{path} cannot be decoded: {getattr(error, 'error_string', error)}") from None
    if not len(samples):
        raise UserError(f"{path} holds no samples.", "Remove it, or download it again.")
    clipped = 0
    if not pcm16:
        bad = samples.size - np.count_nonzero(np.isfinite(samples))
        if bad:
            raise UserError(f"{path} holds {bad} samples that are NaN or infinite.", "Export it again as 16-bit PCM.")
        clipped = int(np.count_nonzero(np.abs(samples) > 1))
    if not _RATES_HZ[0] <= rate <= _RATES_HZ[1]:
        raise UserError(f"{path} says that its sampling rate is {rate} Hz, which cannot be.")
    if rate != SAMPLING_RATE_HZ:
        samples = _resample(samples / 32768 if pcm16 else samples, rate)
    if samples.dtype != np.int16:
        samples = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16, order="C")
    return Decoded(samples, rate, clipped)


def mix(waveform: np.ndarray, channel: int | str) -> np.ndarray:
    """`[..., n, channels]` of any number type to float32 `[..., n]`: one channel, their mean, or channel 0 minus 1."""
    count = waveform.shape[-1]
    if channel == "mean":
        return waveform.mean(axis=-1, dtype=np.float32)
    if channel == "difference" and count > 1:
        return waveform[..., 0].astype(np.float32) - waveform[..., 1].astype(np.float32)
    if isinstance(channel, int) and not isinstance(channel, bool) and 0 <= channel < count:
        return waveform[..., channel].astype(np.float32)
    mixes = CHANNEL_MIXES if count > 1 else CHANNEL_MIXES[:1]
    possible = ", ".join([*map(str, range(count)), *mixes])
    clips = f"{count} channel{'s' * (count > 1)}"
    raise UserError(f"Channel {channel!r} is not possible for clips with {clips}.", f"Possible: {possible}.")


def _resample(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """By scipy's polyphase filter: purer than torchaudio's defaults, quicker than its best (bench/resample.py)."""
    from scipy.signal import resample_poly

    shared = math.gcd(rate_hz, SAMPLING_RATE_HZ)
    return resample_poly(samples, SAMPLING_RATE_HZ // shared, rate_hz // shared, axis=0)


def _checked(path: str | Path) -> str | io.BytesIO:
    """What libsndfile may read: it silently shortens a truncated file, so the sizes are compared here first."""
    try:
        with open(path, "rb") as file:
            return _check_sizes(path, file, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {reason(error)}.") from None


def _check_sizes(path: str | Path, file: BinaryIO, file_bytes: int) -> str | io.BytesIO:
    again = "Copy or download it again."
    if not file_bytes:
        raise UserError(f"{path} is empty (0 bytes).", again)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64") or head[8:] != b"WAVE":
        raise UserError(f"{path} is not a wav file: it begins with {head!r}.")
    number = ">I" if head[:4] == b"RIFX" else "<I"
    riff_bytes = struct.unpack(number, head[4:8])[0]
    while len(chunk := file.read(8)) == 8:
        size = struct.unpack(number, chunk[4:])[0]
        if chunk[:4] == b"data":
            break
        file.seek(size + size % 2, os.SEEK_CUR)  # chunks are padded to an even length
    else:
        raise UserError(f"{path} is truncated: it ends before its samples begin.", again)
    start = file.tell()
    there = file_bytes - start
    if there < size < _OPEN_ENDED_BYTES:
        raise UserError(f"{path} is truncated: {there} of its {size} bytes of samples are there.", again)
    if size == 0 and there and riff_bytes + 8 not in (file_bytes, file_bytes - 1):
        # Never closed by its recorder: libsndfile would see no samples, unless the size says "up to the end".
        file.seek(0)
        content = bytearray(file.read())
        content[start - 4 : start] = b"\xff\xff\xff\xff"
        return io.BytesIO(content)
    return str(path)
