"""Scores to scores: normalisation and weighted fusion of anomaly scores, on plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Normalisation:
    """z = (score - shift) / scale."""

    shift: float = 0.0
    scale: float = 1.0

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        return (scores - self.shift) / self.scale


def z_score(scores: np.ndarray) -> Normalisation:
    """To zero mean and unit standard deviation over `scores`; constant scores are only shifted."""
    varies = float(np.ptp(scores)) > 0  # the deviation of equal scores is not always 0 to the last bit
    return Normalisation(float(scores.mean()), float(scores.std()) if varies else 1.0)


def fuse(scores: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Weighted mean of several systems' scores of the same clips: `[clips]` each to `[clips]`.

    The weights are taken relative to their sum, so that (1, 1) and (0.5, 0.5) are the same fusion.
    """
    total = float(sum(weights))
    if not 0 < total < float("inf") or min(weights) < 0:
        raise ValueError(f"weights must be finite and non-negative with a positive sum, not {list(weights)}")
    return np.tensordot(np.asarray(weights, float) / total, np.stack(scores), 1)
