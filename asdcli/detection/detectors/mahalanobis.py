"""Mahalanobis distance of embeddings to the training clips."""

from __future__ import annotations

from typing import Literal

import numpy as np

from asdcli.detection.bank import Bank, Embeddings, clip_vectors
from asdcli.detection.domain_wise import NearestDomain

CONSTANT = 1e-12  # variance below this share of the mean square is rounding: the clips are all alike
RIDGE = 1e-6  # added to each variance
LEFT = 1e-15  # of a direction when its only clip is left out: less is rounding
LEAST = 1e-4  # share of mu I: two clips always agree on their covariance, and leave all axes but one empty


class Mahalanobis:
    """Mahalanobis distance of a clip's mean embedding to one Gaussian, the mean and covariance of the bank's clips.

    There are hardly more clips than dimensions, and fewer in a domain. `ridge` adds 1e-6 to each variance of the sample
    covariance (MobileAnoNet 2023). `ledoit_wolf` shrinks the covariance S (divided by the number of clips) towards the
    mean variance mu I, (1 - s) S + s mu I, by the s of Ledoit & Wolf (2004, "A well-conditioned estimator for
    large-dimensional covariance matrices", section 3.2), but at least by LEAST; clips that do not vary, or a single
    one, have then the covariance I. With `ridge` it is 1e-6 I: a thousand times the Euclidean distance.

    Args:
        covariance: how it is estimated.
        squared: the score is the squared distance.
    """

    def __init__(self, *, covariance: Literal["ridge", "ledoit_wolf"] = "ridge", squared: bool = False) -> None:
        self.covariance, self.squared = covariance, squared

    def fit(self, bank: Bank) -> None:
        bank.refuse_empty("mahalanobis")
        vectors = clip_vectors(bank.embeddings, "mahalanobis")
        self._mean = vectors.mean(0)
        centred = vectors - self._mean
        variances, self._axes = np.linalg.eigh(centred.T @ centred / len(vectors))
        self._variances = np.maximum(variances, 0)
        self._centred = centred @ self._axes  # the bank in the axes of its covariance
        self._constant = CONSTANT * float(np.square(vectors).sum(1).mean())
        squares = np.square(self._centred).sum(1)
        self._shrunk = self._shrink(
            len(vectors), self._variances.sum(), np.square(self._variances).sum(), np.square(squares).sum()
        )

    def score(self, embeddings: Embeddings) -> np.ndarray:
        deviations = (clip_vectors(embeddings, "mahalanobis") - self._mean) @ self._axes
        kept, floor = self._shrunk
        return self._distances((np.square(deviations) / (kept * self._variances + floor)).sum(1))

    def score_bank(self) -> np.ndarray:
        """Exact leave-one-out from the one decomposition of S; the clip of a bank of one is scored with itself.

        Without a clip at v from the mean of all n, the r = n - 1 others have their mean at -v / r and the covariance
        S' = n / r S - n / r^2 v v^T. Its trace, its norm and the fourth moments give s' (see `_shrink`). What is shrunk
        is diagonal in the axes of S but for v v^T, which the formula of Sherman and Morrison takes care of.
        It divides by what a clip leaves of its direction. With `ridge` and fewer clips than dimensions that is next to
        nothing, and rounding costs some digits: five are right where embeddings deviate by 100, two at 1000.
        """
        n, r = len(self._centred), len(self._centred) - 1
        if not r:
            return np.zeros(1)
        variances = self._variances
        squares = np.square(self._centred).sum(1)
        scores = np.empty(n)
        for clip, v in enumerate(self._centred):
            own, along = squares[clip], float(np.square(v) @ variances)
            trace = n / r * variances.sum() - n / r**2 * own
            norm = (n / r) ** 2 * np.square(variances).sum() - 2 * n**2 / r**3 * along + (n / r**2 * own) ** 2
            moved = squares + 2 / r * (self._centred @ v) + own / r**2
            fourth = np.square(np.delete(moved, clip)).sum()
            kept, floor = self._shrink(r, trace, norm, fourth)
            q = float((np.square(v) / (kept * n / r * variances + floor)).sum())
            scores[clip] = (n / r) ** 2 * q / max(1 - kept * n / r**2 * q, LEFT)
        return self._distances(scores)

    def _distances(self, squares: np.ndarray) -> np.ndarray:
        return squares if self.squared else np.sqrt(squares)

    def _shrink(self, clips: int, trace: float, norm: float, fourth: float) -> tuple[float, float]:
        """What the covariance keeps of S and what it adds to each variance, from the trace of S, its squared norm, and
        the sum over clips of |x - mean|^4.
        """
        if self.covariance == "ridge":
            return clips / max(clips - 1, 1), RIDGE
        mean_variance = trace / len(self._mean)
        if clips == 1 or trace <= self._constant:
            return 0.0, 1.0
        spread = norm - trace * mean_variance  # squared distance of S to mu I
        error = (fourth / clips - norm) / clips  # expected squared distance of S to the truth
        share = max(LEAST, min(error / spread, 1.0)) if spread > 0 else 1.0
        return 1 - share, share * mean_variance


class SoftMahalanobis(NearestDomain):
    """`Mahalanobis` to the source clips or to the target clips, whichever is nearer (MobileAnoNet 2023).

    Args:
        covariance, squared: of both.
    """

    def __init__(self, *, covariance: Literal["ridge", "ledoit_wolf"] = "ridge", squared: bool = False) -> None:
        super().__init__(lambda: Mahalanobis(covariance=covariance, squared=squared))
