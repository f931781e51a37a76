"""Mel filter banks: triangles on Slaney's scale (Auditory Toolbox, 1998) or on HTK's (2595 lg(1 + f/700))."""

from __future__ import annotations

import warnings
from typing import Literal

import torch
from torch import Tensor
from torchaudio.compliance.kaldi import get_mel_banks
from torchaudio.functional import melscale_fbanks

MelScale = Literal["slaney", "htk"]


def mel_bank(
    n_fft: int, sample_rate_hz: int, n_mels: int, f_min_hz: float, f_max_hz: float, scale: MelScale, equal_area: bool
) -> Tensor:
    """Filters that are triangles in Hz, as in librosa and torchaudio: float32 `[n_mels, n_fft / 2 + 1]`.

    `equal_area` divides each by half its width in Hz (Slaney's normalisation), else each peaks at 1.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bands too narrow for any bin: they stay empty, as in librosa
        norm = "slaney" if equal_area else None
        bank = melscale_fbanks(n_fft // 2 + 1, f_min_hz, f_max_hz, n_mels, sample_rate_hz, norm, scale)
    return bank.T.contiguous()


def kaldi_mel_bank(n_fft: int, sample_rate_hz: int, n_mels: int, f_min_hz: float, f_max_hz: float) -> Tensor:
    """Filters that are triangles in mel (HTK's), as in Kaldi, of height 1: float32 `[n_mels, n_fft / 2 + 1]`."""
    bank, _ = get_mel_banks(n_mels, n_fft, float(sample_rate_hz), f_min_hz, f_max_hz, 100.0, -500.0, 1.0)
    return torch.nn.functional.pad(bank, (0, 1))  # Kaldi leaves out the bin at half the sampling rate


def project(bank: Tensor, spectrum: Tensor) -> Tensor:
    """`[M, F]` on `[B, F, T]` -> `[B, M, T]`, outside autocast: half precision would overflow on a power spectrum."""
    with torch.autocast(spectrum.device.type, enabled=False):
        return bank @ spectrum
