"""One channel of many, or a mix of them."""

from __future__ import annotations

import numpy as np

from asdcli.errors import UserError

CHANNEL_MIXES = ("mean", "difference")


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
