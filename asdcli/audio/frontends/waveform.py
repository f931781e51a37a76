"""Waveforms as they are, for networks that own their front end."""

from __future__ import annotations

from torch import Tensor, nn


class Waveform(nn.Module):
    """Waveform `[B, N]` -> `[B, 1, N]`: one feature, a frame for each sample."""

    n_features = 1

    def frames(self, n_samples: int) -> int:
        return n_samples

    def forward(self, waveform: Tensor) -> Tensor:
        return waveform.unsqueeze(1)
