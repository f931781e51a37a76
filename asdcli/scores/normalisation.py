"""What makes scores of different systems comparable: z-scores, or ranks among reference scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Normalisation:
    """z = (score - shift) / scale."""

    shift: float = 0.0
    scale: float = 1.0

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        return (scores - self.shift) / self.scale


@dataclass(frozen=True)
class Ranks:
    """The rank of a score among reference scores, in clips: linear between the knots, whose scores rise strictly.

    Beyond the reference it goes on with the mean slope, so that clips which are more anomalous than every reference
    clip do not all tie: the ranks of one system alone keep the order of its scores.
    """

    knots: np.ndarray
    ranks: np.ndarray
    slope: float

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        beyond = scores - np.clip(scores, self.knots[0], self.knots[-1])
        return np.interp(scores, self.knots, self.ranks) + self.slope * beyond


def z_score(scores: np.ndarray) -> Normalisation:
    """To zero mean and unit standard deviation over `scores`; constant scores are only shifted."""
    varies = float(np.ptp(scores)) > 0  # the deviation of equal scores is not always 0 to the last bit
    return Normalisation(float(scores.mean()), float(scores.std()) if varies else 1.0)


def ranks(scores: np.ndarray, size: int) -> Ranks:
    """Ranks among `scores`, as if these were `size` clips; equal ones share the middle of their ranks.

    A common size makes the ranks of systems comparable that have different numbers of reference clips.
    """
    knots, counts = np.unique(scores, return_counts=True)
    middles = (np.cumsum(counts) - 0.5 * counts) * (size / len(scores))
    spread = float(knots[-1] - knots[0])
    return Ranks(knots, middles, size / spread if spread > 0 else 1.0)
