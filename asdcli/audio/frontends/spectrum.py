"""What every front end shares: checks of its settings and the short-time spectrum."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

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
    """|STFT|^power, centred, one-sided: `[B, N]` -> `[B, n_fft / 2 + 1, T]`.

    window: `[n_fft]`, or the filters that `dft_filters` makes of it.
    """
    n_fft = window.shape[-1]
    check_length(waveform.shape[-1], n_fft)
    if window.ndim == 1:
        squared = power_of(
            torch.stft(waveform, n_fft, hop_length, window=window, center=True, pad_mode=pad_mode, return_complex=True)
        )
    else:
        padded = pad(waveform[:, None], (n_fft // 2, n_fft // 2), pad_mode)
        real, imaginary = conv1d(padded, window, stride=hop_length).chunk(2, 1)
        squared = real.square() + imaginary.square()
    return squared if power == 2.0 else squared.pow_(power / 2)


def dft_filters(window: Tensor) -> Tensor:
    """The windowed Fourier transform as real filters, cosines before sines: `[n_fft]` to `[n_fft + 2, 1, n_fft]`.

    For exporters, which stumble over complex numbers; many times slower than the fast transform.
    """
    n = len(window)
    turns = torch.outer(torch.arange(n // 2 + 1), torch.arange(n)) % n / n  # whole turns left out: exact
    angle = 2 * torch.pi * turns.double()
    return (torch.cat([angle.cos(), angle.sin()]) * window.double()).to(window.dtype)[:, None]


def power_of(spectrum: Tensor) -> Tensor:
    """|X|^2 of a complex tensor; several times faster than `abs().square()`, which takes a root to no avail."""
    return spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
