"""What makes scores of different systems comparable: z-scores, or ranks among reference scores."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Normalisation:
    """z = (score - shift) / scale, of scores times two to the power of `exponent`."""

    shift: float = 0.0
    scale: float = 1.0
    exponent: int = 0

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        return (np.ldexp(scores, self.exponent) - self.shift) / self.scale


@dataclass(frozen=True)
class Ranks:
    """The rank of a score among reference scores, in clips: linear between the knots, whose scores rise strictly.

    Beyond the reference it goes on with the mean slope, so that clips which are more anomalous than every reference
    clip do not all tie: the ranks of one system alone keep the order of its scores. The knots are of scores times two
    to the power of `exponent`.
    """

    knots: np.ndarray
    ranks: np.ndarray
    slope: float
    exponent: int

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        scores = np.ldexp(scores, self.exponent)
        beyond = scores - np.clip(scores, self.knots[0], self.knots[-1])
        return np.interp(scores, self.knots, self.ranks) + self.slope * beyond


def z_score(scores: np.ndarray) -> Normalisation:
    """To zero mean and unit standard deviation over `scores`; constant scores are only shifted."""
    near_one, exponent = _near_one(scores)
    if np.ptp(near_one) > 0:  # the deviation of equal scores is not always 0 to the last bit
        return Normalisation(float(near_one.mean()), float(near_one.std()), exponent)
    return Normalisation(float(scores[0]))


def ranks(scores: np.ndarray, size: int) -> Ranks:
    """Ranks among `scores`, as if these were `size` clips; equal ones share the middle of their ranks.

    A common size makes the ranks of systems comparable that have different numbers of reference clips.
    """
    near_one, exponent = _near_one(scores)
    knots, counts = np.unique(near_one, return_counts=True)
    middles = (np.cumsum(counts) - 0.5 * counts) * (size / len(scores))
    spread = float(knots[-1] - knots[0])
    if spread > 0:
        return Ranks(knots, middles, size / spread, exponent)
    return Ranks(scores[:1], middles, 1.0, 0)


def _near_one(scores: np.ndarray) -> tuple[np.ndarray, int]:
    """The scores times a power of two, which costs no digit, so that the largest lies near 1; and its exponent.

    Squares of scores of 1e200, or of 1e-200, are then numbers.
    """
    exponent = -math.frexp(float(np.abs(scores).max()))[1]
    return np.ldexp(scores, exponent), exponent
