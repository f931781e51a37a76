"""Kaldi's log-mel filter bank, as the pre-trained BEATs and EAT models expect it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from asdcli.audio.frontends.mel import kaldi_mel_bank, project
from asdcli.audio.frontends.spectrum import check_band, check_length, check_positive, power_of

_FLOOR = float(np.finfo(np.float32).eps)  # Kaldi's smallest energy, ln = -15.94


class KaldiFbank(nn.Module):
    """Waveform `[B, N]` -> natural-log mel energies `[B, n_mels, T]`; only whole frames (Kaldi's `snip_edges`).

    Each frame loses its mean, is pre-emphasised (its first sample against itself), windowed, and its power spectrum
    (next power of two) summed by triangles on the HTK mel scale; no dither, no energy column. Both published
    normalisations are (x - norm_mean) / (2 norm_std); the defaults leave the values as they are.

    - BEATs: `window: povey`, `int16_scale: true`, `norm_mean: 15.41663`, `norm_std: 6.55582`.
    - EAT: `window: hanning`, `int16_scale: false`, `subtract_mean: true`, `target_frames: 1024`,
      `norm_mean: -4.268`, `norm_std: 4.569`.

    Args:
        frame_length_ms: window, ms.
        frame_shift_ms: step between frames, ms.
        n_mels: number of mel bands.
        f_min_hz: lower edge of the lowest band, Hz.
        f_max_hz: upper edge of the highest band, Hz.
        window: Hann, or Hann to the power 0.85 (Povey).
        preemphasis: share of the previous sample taken away, 0 to 1.
        int16_scale: multiply the waveform by 32768, the range of 16-bit samples.
        subtract_mean: take the clip's mean away first.
        target_frames: pad with zeros (before normalising) or cut to this many frames; 0 keeps them all.
        norm_mean: mean of the normalisation, in ln energy.
        norm_std: half the divisor of the normalisation, in ln energy.
        sample_rate_hz: sampling rate of the clips, Hz.
    """

    window: Tensor
    bank: Tensor

    def __init__(
        self,
        *,
        frame_length_ms: float = 25.0,
        frame_shift_ms: float = 10.0,
        n_mels: int = 128,
        f_min_hz: float = 20.0,
        f_max_hz: float = 8000.0,
        window: Literal["povey", "hanning"] = "povey",
        preemphasis: float = 0.97,
        int16_scale: bool = True,
        subtract_mean: bool = False,
        target_frames: int = 0,
        norm_mean: float = 0.0,
        norm_std: float = 0.5,
        sample_rate_hz: int = 16000,
    ) -> None:
        super().__init__()
        # truncated, not rounded, as Kaldi does
        self.frame_length = int(sample_rate_hz * frame_length_ms / 1000)
        self.frame_shift = int(sample_rate_hz * frame_shift_ms / 1000)
        self.n_fft = 1 << (self.frame_length - 1).bit_length()
        check_band(f_min_hz, f_max_hz, sample_rate_hz)
        check_positive(n_mels=n_mels, norm_std=norm_std)
        if self.frame_length < 2 or self.frame_shift < 1:
            raise ValueError(
                f"frame_length_ms is {frame_length_ms:g} and frame_shift_ms {frame_shift_ms:g}; "
                "a window has to hold 2 samples or more, a step 1 or more."
            )
        if not 0 <= preemphasis <= 1:
            raise ValueError(f"preemphasis is {preemphasis}; it has to lie between 0 and 1.")
        if target_frames < 0:
            raise ValueError(f"target_frames is {target_frames}; it has to be 0 (keep all) or more.")
        self.n_features = n_mels
        self.preemphasis, self.subtract_mean, self.target_frames = preemphasis, subtract_mean, target_frames
        self.gain, self.norm_mean, self.norm_std = 32768.0 if int16_scale else 1.0, norm_mean, norm_std
        hann = torch.hann_window(self.frame_length, periodic=False, dtype=torch.float64)
        shape = hann.pow(0.85) if window == "povey" else hann
        self.register_buffer("window", shape.float(), persistent=False)
        bank = kaldi_mel_bank(self.n_fft, sample_rate_hz, n_mels, f_min_hz, f_max_hz)
        self.register_buffer("bank", bank, persistent=False)

    def frames(self, n_samples: int) -> int:
        """Number of frames T of a clip of `n_samples`."""
        check_length(n_samples, self.frame_length)
        return self.target_frames or 1 + (n_samples - self.frame_length) // self.frame_shift

    def forward(self, waveform: Tensor) -> Tensor:
        check_length(waveform.shape[-1], self.frame_length)
        if self.subtract_mean:
            waveform = waveform - waveform.mean(-1, keepdim=True)
        frames = self._frames(waveform * self.gain)
        power = power_of(torch.fft.rfft(frames, n=self.n_fft))
        fbank = project(self.bank, power.transpose(1, 2)).clamp_(min=_FLOOR).log_()
        if self.target_frames:
            fbank = pad(fbank, (0, self.target_frames - fbank.shape[-1]))  # a negative amount cuts
        return (fbank - self.norm_mean) / (2 * self.norm_std)

    def _frames(self, waveform: Tensor) -> Tensor:
        """Frames without mean, pre-emphasised and windowed: `[B, N]` -> `[B, T, frame_length]`.

        Kaldi pre-emphasises each frame by itself. Doing so once for the whole clip differs only in the first sample
        of a frame, and there both windows are zero; the frame's mean then enters with the factor 1 - preemphasis.
        """
        mean = waveform.unfold(-1, self.frame_length, self.frame_shift).mean(-1, keepdim=True)
        emphasised = waveform.clone()
        emphasised[..., 1:] -= self.preemphasis * waveform[..., :-1]
        frames = emphasised.unfold(-1, self.frame_length, self.frame_shift)
        return (frames - (1 - self.preemphasis) * mean).mul_(self.window)
