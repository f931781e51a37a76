"""Mel filter banks: triangles on the Slaney scale (Auditory Toolbox, 1998) or on the HTK scale (2595 lg(1 + f/700))."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

MelScale = Literal["slaney", "htk"]

_LINEAR_MEL_HZ = 200.0 / 3  # Slaney: linear below 1 kHz ...
_LOG_START_MEL = 15.0  # ... logarithmic above, where 27 steps make a factor of 6.4
_LOG_STEP = np.log(6.4) / 27.0


def _slaney_from_hz(hz: np.ndarray) -> np.ndarray:
    log_part = _LOG_START_MEL + np.log(np.maximum(hz, 1000.0) / 1000.0) / _LOG_STEP
    return np.where(hz < 1000.0, hz / _LINEAR_MEL_HZ, log_part)


def _slaney_to_hz(mel: np.ndarray) -> np.ndarray:
    log_part = 1000.0 * np.exp(_LOG_STEP * (np.maximum(mel, _LOG_START_MEL) - _LOG_START_MEL))
    return np.where(mel < _LOG_START_MEL, mel * _LINEAR_MEL_HZ, log_part)


def htk_from_hz(hz: np.ndarray) -> np.ndarray:
    """HTK mel in the natural-log form that Kaldi uses: 1127 ln(1 + f/700)."""
    return 1127.0 * np.log1p(hz / 700.0)


def _htk_to_hz(mel: np.ndarray) -> np.ndarray:
    return 700.0 * np.expm1(mel / 1127.0)


def triangles(bins: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Triangular filters of height 1 over the spectrum's bins.

    `bins` `[F]` and `corners` `[n_mels + 2]` are on the same scale (Hz or mel); filter m rises from corner m to
    m + 1 and falls to m + 2. Returns float64 `[n_mels, F]`.
    """
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


def mel_bank(
    n_fft: int, sample_rate_hz: int, n_mels: int, f_min_hz: float, f_max_hz: float, scale: MelScale, equal_area: bool
) -> Tensor:
    """Filters that are triangles in Hz, as in librosa and torchaudio: float32 `[n_mels, n_fft / 2 + 1]`.

    `equal_area` divides each by half its width in Hz (Slaney's normalisation), else each peaks at 1.
    """
    from_hz, to_hz = (_slaney_from_hz, _slaney_to_hz) if scale == "slaney" else (htk_from_hz, _htk_to_hz)
    low, high = from_hz(np.array([f_min_hz, f_max_hz]))
    corners = to_hz(np.linspace(low, high, n_mels + 2))
    bank = triangles(np.linspace(0.0, sample_rate_hz / 2, n_fft // 2 + 1), corners)
    if equal_area:
        bank *= (2.0 / (corners[2:] - corners[:-2]))[:, None]
    return torch.from_numpy(bank.astype(np.float32))


def project(bank: Tensor, spectrum: Tensor) -> Tensor:
    """`[M, F]` on `[B, F, T]` -> `[B, M, T]`, outside autocast: half precision would overflow on a power spectrum."""
    with torch.autocast(spectrum.device.type, enabled=False):
        return bank @ spectrum
