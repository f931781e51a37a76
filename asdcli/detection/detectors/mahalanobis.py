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

Covariance = Literal["ridge", "ledoit_wolf", "oas", "diagonal"]


class Mahalanobis:
    """Mahalanobis distance of a clip's mean embedding to one Gaussian, the mean and covariance of the bank's clips.

    There are hardly more clips than dimensions, and fewer in a domain. `ridge` adds 1e-6 to each variance of the sample
    covariance (MobileAnoNet 2023). The others shrink the covariance S (divided by the number of clips) towards the mean
    variance mu I, (1 - s) S + s mu I: `ledoit_wolf` by the s of Ledoit & Wolf (2004, "A well-conditioned estimator for
    large-dimensional covariance matrices", section 3.2), `oas` by that of Chen, Wiesel, Eldar & Hero (2010, "Shrinkage
    algorithms for MMSE covariance estimation") as scikit-learn has it; at least by LEAST. Clips that do not vary, or a
    single one, have then the covariance I. With `ridge` it is 1e-6 I: a thousand times the Euclidean distance.
    `diagonal` is `ridge` without the covariances: each dimension by itself.

    Args:
        covariance: how it is estimated.
        squared: the score is the squared distance.
        standardise: each dimension is divided by its deviation in the bank first (by 1 where the clips do not vary), so
            that what is shrunk is the matrix of correlations.
    """

    def __init__(self, *, covariance: Covariance = "ridge", squared: bool = False, standardise: bool = False) -> None:
        self.covariance, self.squared, self.standardise = covariance, squared, standardise

    def fit(self, bank: Bank) -> None:
        bank.refuse_empty("mahalanobis")
        vectors = clip_vectors(bank.embeddings, "mahalanobis")
        self._scale = _deviations(vectors.var(0), np.square(vectors).mean(0)) if self.standardise else 1.0
        vectors = vectors / self._scale
        self._mean = vectors.mean(0)
        self._square = np.square(vectors).mean(0)
        self._centred = vectors - self._mean
        self._covariance = self._centred.T @ self._centred / len(vectors)
        if self.covariance == "diagonal":
            variances, self._axes = np.diag(self._covariance), np.eye(len(self._mean))
        else:
            variances, self._axes = np.linalg.eigh(self._covariance)
        self._variances = np.maximum(variances, 0)
        self._constant = CONSTANT * float(self._square.sum())
        self._shrunk = self._shrink(
            len(vectors), self._variances.sum(), np.square(self._variances).sum(), _fourth(self._centred)
        )

    def score(self, embeddings: Embeddings) -> np.ndarray:
        return self._distances(np.square(self._whitened(embeddings)).sum(1))

    def shares(self, embeddings: Embeddings) -> np.ndarray:
        """What each dimension counts in the squared distance: `[clips, size]`, not negative, with the sum 1.

        The squares of the deviations, whitened by the inverse root of the covariance: of all ways to whiten the one
        whose values stay nearest to the dimensions they came from. With `standardise` this is the corr-max
        decomposition of Garthwaite & Koch (2016, "Evaluating the contributions of individual variables to a quadratic
        form"). A clip on the mean has zeros.
        """
        squares = np.square(self._whitened(embeddings) @ self._axes.T)
        return squares / np.maximum(squares.sum(1, keepdims=True), np.finfo(np.float64).tiny)

    def score_bank(self) -> np.ndarray:
        """Exact leave-one-out; the clip of a bank of one is scored with itself."""
        if len(self._centred) == 1:
            return np.zeros(1)
        if self.standardise or self.covariance == "diagonal":
            return self._distances(np.array([self._left_out(clip) for clip in range(len(self._centred))]))
        return self._distances(self._all_left_out())

    def _whitened(self, embeddings: Embeddings) -> np.ndarray:
        """Deviations along the axes of the covariance, in its deviations: `[clips, size]`."""
        kept, floor = self._shrunk
        deviations = clip_vectors(embeddings, "mahalanobis") / self._scale - self._mean
        return deviations @ self._axes / np.sqrt(kept * self._variances + floor)

    def _left_out(self, clip: int) -> float:
        """The squared distance of a clip to the others, whose own deviations are 1 if that is asked for.

        Without a clip at v from the mean of all n, the r = n - 1 others have their mean at -v / r and the covariance
        n / r S - n / r^2 v v^T.
        """
        n, r, v = len(self._centred), len(self._centred) - 1, self._centred[clip]
        variances = n / r * np.diag(self._covariance) - n / r**2 * np.square(v)
        squares = (n * self._square - np.square(v + self._mean)) / r
        scale = _deviations(variances, squares) if self.standardise else np.ones(len(v))
        deviation, others = n / r * v / scale, np.delete((self._centred + v / r) / scale, clip, 0)
        if self.covariance == "diagonal":
            return float(
                (np.square(deviation) / (r / max(r - 1, 1) * np.maximum(variances, 0) / scale**2 + RIDGE)).sum()
            )
        covariance = (n / r * self._covariance - n / r**2 * np.outer(v, v)) / np.outer(scale, scale)
        kept, floor = self._shrink(r, covariance.trace(), np.square(covariance).sum(), _fourth(others))
        shrunk = kept * covariance + floor * np.eye(len(v))
        return float(deviation @ np.linalg.solve(shrunk, deviation))

    def _all_left_out(self) -> np.ndarray:
        """The squared distance of each clip to the others, from the one decomposition of S.

        The trace of what `_left_out` calls the covariance of the others, its norm and the fourth moments give s' (see
        `_shrink`). What is shrunk is diagonal in the axes of S but for v v^T, which the formula of Sherman and Morrison
        takes care of.
        It divides by what a clip leaves of its direction. With `ridge` and fewer clips than dimensions that is next to
        nothing, and rounding costs some digits: five are right where embeddings deviate by 100, two at 1000.
        """
        n, r = len(self._centred), len(self._centred) - 1
        centred, variances = self._centred @ self._axes, self._variances
        squares = np.square(centred).sum(1)
        scores = np.empty(n)
        for clip, v in enumerate(centred):
            own, along = squares[clip], float(np.square(v) @ variances)
            trace = n / r * variances.sum() - n / r**2 * own
            norm = (n / r) ** 2 * np.square(variances).sum() - 2 * n**2 / r**3 * along + (n / r**2 * own) ** 2
            moved = squares + 2 / r * (centred @ v) + own / r**2
            fourth = np.square(np.delete(moved, clip)).sum()
            kept, floor = self._shrink(r, trace, norm, fourth)
            q = float((np.square(v) / (kept * n / r * variances + floor)).sum())
            scores[clip] = (n / r) ** 2 * q / max(1 - kept * n / r**2 * q, LEFT)
        return scores

    def _distances(self, squares: np.ndarray) -> np.ndarray:
        return squares if self.squared else np.sqrt(squares)

    def _shrink(self, clips: int, trace: float, norm: float, fourth: float) -> tuple[float, float]:
        """What the covariance keeps of S and what it adds to each variance, from the trace of S, its squared norm, and
        the sum over clips of |x - mean|^4.
        """
        if self.covariance in ("ridge", "diagonal"):
            return clips / max(clips - 1, 1), RIDGE
        mean_variance = trace / len(self._mean)
        if clips == 1 or trace <= self._constant:
            return 0.0, 1.0
        spread = norm - trace * mean_variance  # squared distance of S to mu I
        if self.covariance == "ledoit_wolf":
            error = (fourth / clips - norm) / clips  # expected squared distance of S to the truth
        else:
            error = (norm + trace**2) / (clips + 1)
        share = max(LEAST, min(error / spread, 1.0)) if spread > 0 else 1.0
        return 1 - share, share * mean_variance


class SoftMahalanobis(NearestDomain):
    """`Mahalanobis` to the source clips or to the target clips, whichever is nearer (MobileAnoNet 2023).

    Args:
        covariance, squared, standardise: of both.
    """

    def __init__(self, *, covariance: Covariance = "ridge", squared: bool = False, standardise: bool = False) -> None:
        super().__init__(lambda: Mahalanobis(covariance=covariance, squared=squared, standardise=standardise))


def _deviations(variances: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Of each dimension, from its variance and mean square; 1 where the variance is rounding."""
    return np.sqrt(np.where(variances > CONSTANT * squares, variances, 1.0))


def _fourth(centred: np.ndarray) -> float:
    """The sum over clips of |x - mean|^4."""
    return float(np.square(np.square(centred).sum(1)).sum())
