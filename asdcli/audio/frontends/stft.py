"""Short-time Fourier spectrum: the input of MobileAnoNet (2048/512) and of the ArcFace ensemble of 2021 (2046/512)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asdcli.audio.frontends.spectrum import PadMode, centred_frames, check_framing, check_positive, spectrogram


class Stft(nn.Module):
    """Waveform `[B, N]` -> |STFT|^power `[B, n_fft / 2 + 1, 1 + N // hop_length]`, Hann window, centred frames.

    Args:
        n_fft: window and transform, samples.
        hop_length: step between frames, samples.
        power: exponent of the magnitude; 1 magnitude, 2 power.
        log: take ln(x + floor) at the end.
        floor: added before the logarithm, in units of |x|^power.
        pad_mode: what lies beyond the clip's ends; zeros, or the clip mirrored (librosa before 0.9).
    """

    window: Tensor

    def __init__(
        self,
        *,
        n_fft: int = 2048,
        hop_length: int = 512,
        power: float = 1.0,
        log: bool = False,
        floor: float = 1e-8,
        pad_mode: PadMode = "constant",
    ) -> None:
        super().__init__()
        check_framing(n_fft, hop_length)
        check_positive(power=power, floor=floor)
        self.n_features = n_fft // 2 + 1
        self.hop_length, self.power, self.pad_mode = hop_length, power, pad_mode
        self.log, self.floor = log, floor
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def frames(self, n_samples: int) -> int:
        """Number of frames T of a clip of `n_samples`."""
        return centred_frames(n_samples, self.window.numel(), self.hop_length)

    def forward(self, waveform: Tensor) -> Tensor:
        spectrum = spectrogram(waveform, self.window, self.hop_length, self.power, self.pad_mode)
        return (spectrum + self.floor).log() if self.log else spectrum
