"""Log-mel energies: the input of the official auto-encoders, of the Zenn article and of the EPFL system."""

from __future__ import annotations

import sys
from typing import Literal

import torch
from torch import Tensor, nn

from asdcli.audio.frontends.mel import MelScale, mel_bank, project
from asdcli.audio.frontends.spectrum import (
    PadMode,
    centred_frames,
    check_band,
    check_framing,
    check_positive,
    spectrogram,
)


class LogMel(nn.Module):
    """Waveform `[B, N]` -> log-mel energies in dB `[B, n_mels, 1 + N // hop_length]`, Hann window, centred frames.

    The defaults are those of the official baselines since 2021: 10 lg(max(mel power, machine epsilon)). The baseline
    of 2020 adds the epsilon instead (`floor_mode: add`); the Zenn article has `scale_db: 20` and `floor: 1e-10`; the
    EPFL system of 2022 has `subtract_mean`.

    Args:
        n_fft: window and transform, samples.
        hop_length: step between frames, samples.
        n_mels: number of mel bands.
        f_min_hz: lower edge of the lowest band, Hz.
        f_max_hz: upper edge of the highest band, Hz.
        power: exponent of the magnitude before the bands are summed; 1 magnitude, 2 power.
        mel_scale: Slaney's scale (librosa) or HTK's (torchaudio).
        mel_norm: bands of equal area (Slaney's normalisation), or of equal height 1.
        log: dB, or the mel energies as they are.
        scale_db: factor before the base-10 logarithm, dB; 20 / power gives true decibels.
        floor: smallest energy told apart, in units of |x|^power.
        floor_mode: `max`: max(mel, floor); `add`: mel + floor.
        subtract_mean: take the clip's mean (its DC offset) away first.
        pad_mode: what lies beyond the clip's ends; zeros, or the clip mirrored (librosa before 0.9).
        sample_rate_hz: sampling rate of the clips, Hz.
    """

    window: Tensor
    bank: Tensor

    def __init__(
        self,
        *,
        n_fft: int = 1024,
        hop_length: int = 512,
        n_mels: int = 128,
        f_min_hz: float = 0.0,
        f_max_hz: float = 8000.0,
        power: float = 2.0,
        mel_scale: MelScale = "slaney",
        mel_norm: Literal["area", "none"] = "area",
        log: bool = True,
        scale_db: float = 10.0,
        floor: float = sys.float_info.epsilon,
        floor_mode: Literal["max", "add"] = "max",
        subtract_mean: bool = False,
        pad_mode: PadMode = "constant",
        sample_rate_hz: int = 16000,
    ) -> None:
        super().__init__()
        check_framing(n_fft, hop_length)
        check_band(f_min_hz, f_max_hz, sample_rate_hz)
        check_positive(n_mels=n_mels, power=power, scale_db=scale_db, floor=floor)
        self.n_features = n_mels
        self.hop_length, self.power, self.pad_mode = hop_length, power, pad_mode
        self.log, self.scale_db, self.floor, self.floor_mode = log, scale_db, floor, floor_mode
        self.subtract_mean = subtract_mean
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        bank = mel_bank(n_fft, sample_rate_hz, n_mels, f_min_hz, f_max_hz, mel_scale, mel_norm == "area")
        self.register_buffer("bank", bank, persistent=False)

    def frames(self, n_samples: int) -> int:
        """Number of frames T of a clip of `n_samples`."""
        return centred_frames(n_samples, self.window.numel(), self.hop_length)

    def forward(self, waveform: Tensor) -> Tensor:
        if self.subtract_mean:
            waveform = waveform - waveform.mean(-1, keepdim=True)
        mel = project(self.bank, spectrogram(waveform, self.window, self.hop_length, self.power, self.pad_mode))
        if not self.log:
            return mel
        mel = mel + self.floor if self.floor_mode == "add" else mel.clamp_(min=self.floor)
        return mel.log10_().mul_(self.scale_db)
