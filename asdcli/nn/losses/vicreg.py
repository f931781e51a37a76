"""VICReg (Bardes et al. 2022, arXiv:2105.04906) of pairs and their mixture, as EPFL's DCASE 2022 report has it.

What a network gives in half precision is computed in float32: variances of half precision are rounding.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

EPSILON = 1e-4  # under the root of the variance, VICReg's code


def mixture_distance(
    mixed: Tensor, first: Tensor, second: Tensor, rate: Tensor, *, reduction: Literal["mean", "sum"] = "mean"
) -> Tensor:
    """How far embeddings of mixtures lie from the mixtures of embeddings, |z_l - ((1 - r) z + r z')|^2 (equation 1).

    `[batch, size]` each, rate `[batch]`. The mean over the batch of squared distances: as printed, a `sum` over
    dimensions; its text says mean squared error, the `mean` over them.
    """
    first, second, mixed = map(_wide, (first, second, mixed))
    squared = (mixed - torch.lerp(first, second, rate.to(first.dtype)[:, None])).square()
    return squared.mean() if reduction == "mean" else squared.sum(1).mean()


def variance_loss(embeddings: Tensor) -> Tensor:
    """How far the deviation of each dimension over the batch falls short of 1: mean of max(0, 1 - sqrt(Var + 1e-4))."""
    deviation = (_wide(embeddings).var(0) + EPSILON).sqrt()
    return (1 - deviation).clamp_min(0).mean()


def covariance_loss(embeddings: Tensor) -> Tensor:
    """Squared covariances between different dimensions, summed and divided by the number of dimensions."""
    embeddings = _wide(embeddings)
    centred = embeddings - embeddings.mean(0)
    covariance = centred.T @ centred / max(len(embeddings) - 1, 1)
    apart = covariance.square().sum() - covariance.diagonal().square().sum()
    return apart / embeddings.shape[1]


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.itemsize < 4 else values
