"""Normalisation of one piece of a spectrogram by its own values, applied after a clip is cut into pieces."""

from __future__ import annotations

from torch import Tensor

_TINY = 1e-12  # silence stays silence: a constant piece becomes all zeros instead of NaN


def min_max(pieces: Tensor) -> Tensor:
    """`[..., F, T]` to the range 0..1 for each piece (MobileAnoNet's code, 2023)."""
    low, high = pieces.amin((-2, -1), keepdim=True), pieces.amax((-2, -1), keepdim=True)
    return (pieces - low) / (high - low).clamp(min=_TINY)


def mean_std(pieces: Tensor) -> Tensor:
    """`[..., F, T]` to mean 0 and (biased) standard deviation 1 for each piece (the ArcFace ensemble of 2021)."""
    mean = pieces.mean((-2, -1), keepdim=True)
    return (pieces - mean) / pieces.std((-2, -1), correction=0, keepdim=True).clamp(min=_TINY)
