"""What every front end shares: checks of its settings and the short-time spectrum."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

PadMode = Literal["constant", "reflect"]


def check_framing(n_fft: int, hop_length: int) -> None:
    """Refuse a window or hop (in samples) that no short-time spectrum can have."""
    if n_fft < 2 or n_fft % 2:
        raise ValueError(f"n_fft is {n_fft}; it has to be an even number of samples, 2 or more.")
    if hop_length <= 0:
        raise ValueError(f"hop_length is {hop_length}; it has to be 1 sample or more.")


def check_band(f_min_hz: float, f_max_hz: float, sample_rate_hz: int) -> None:
    """Refuse a band that is empty or reaches beyond half the sampling rate."""
    if not 0 <= f_min_hz < f_max_hz <= sample_rate_hz / 2:
        raise ValueError(
            f"The band {f_min_hz:g} to {f_max_hz:g} Hz is impossible; it has to rise and to lie between 0 and "
            f"{sample_rate_hz / 2:g} Hz, half the sampling rate."
        )


def check_positive(**values: float) -> None:
    """Refuse any named value that is zero, negative or not a number."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} is {value}; it has to be above 0.")


def check_length(n_samples: int, window: int) -> None:
    """Refuse a clip shorter than one analysis window (both in samples)."""
    if n_samples < window:
        raise ValueError(f"The clip has {n_samples} samples, fewer than the {window} of one window.")


def centred_frames(n_samples: int, n_fft: int, hop_length: int) -> int:
    """Frames of a centred short-time spectrum: one per hop, the first around sample 0."""
    check_length(n_samples, n_fft)
    return 1 + n_samples // hop_length


def spectrogram(waveform: Tensor, window: Tensor, hop_length: int, power: float, pad_mode: PadMode) -> Tensor:
    """|STFT|^power, centred, one-sided: `[B, N]` -> `[B, n_fft / 2 + 1, T]`; n_fft is the length of the window."""
    n_fft = window.numel()
    check_length(waveform.shape[-1], n_fft)
    spectrum = torch.stft(
        waveform, n_fft, hop_length, window=window, center=True, pad_mode=pad_mode, return_complex=True
    )
    return power_of(spectrum) if power == 2.0 else power_of(spectrum).pow_(power / 2)


def power_of(spectrum: Tensor) -> Tensor:
    """|X|^2 of a complex tensor; several times faster than `abs().square()`, which takes a root to no avail."""
    return spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
