"""SpecAugment (Park et al. 2019, arXiv:1904.08779): bands and frames of a spectrogram are hidden in training."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SpectrogramMasks(nn.Module):
    """Hides one run of frames and one of bands of each example, in training alone: `[batch, bands, frames]` alike.

    How many are hidden is uniform between none and the most, and so is where they lie (torchaudio's masks). What is
    hidden is 0, the mean of a normalised spectrogram. The numbers are drawn from torch's own generator.

    Args:
        frames, bands: the most that are hidden; 0 hides none.
        probability: of each of the two for each example.
    """

    def __init__(self, frames: int, bands: int, probability: float) -> None:
        super().__init__()
        if frames < 0 or bands < 0 or not 0 <= probability <= 1:
            raise ValueError("mask_frames and mask_bands are 0 or more, mask_probability is between 0 and 1")
        self.most, self.probability = {2: frames, 1: bands}, probability

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        from torchaudio.functional import mask_along_axis_iid

        for axis, most in self.most.items():
            if most:
                hit = torch.rand(len(x), 1, 1, device=x.device) < self.probability
                x = torch.where(hit, mask_along_axis_iid(x, most, 0.0, axis), x)
        return x
