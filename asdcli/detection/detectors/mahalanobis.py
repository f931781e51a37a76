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
        tied: for a bank of several sections (`per: machine`). The mean is that of the home section, the covariance that
            of all clips about their own sections' means, as in linear discriminant analysis and in Lee, Lee, Lee & Shin
            (2018, arXiv:1807.03888): machines differ in how they sound more than in how their sound varies.
    """

    def __init__(
        self,
        *,
        covariance: Covariance = "ridge",
        squared: bool = False,
        standardise: bool = False,
        tied: bool = False,
    ) -> None:
        self.covariance, self.squared, self.standardise, self.tied = covariance, squared, standardise, tied

    def fit(self, bank: Bank) -> None:
        bank.refuse_empty("mahalanobis")
        vectors = clip_vectors(bank.embeddings, "mahalanobis")
        _, self._group = np.unique(bank.section if self.tied else np.zeros(len(vectors)), return_inverse=True)
        centred, square = vectors - self._means(vectors), np.square(vectors).mean(0)
        self._scale = _deviations(np.square(centred).mean(0), square) if self.standardise else 1.0
        vectors = vectors / self._scale
        self._mean = vectors[bank.at_home].mean(0) if self.tied else vectors.mean(0)
        self._square = np.square(vectors).mean(0)
        self._centred, self._vectors = vectors - self._means(vectors), vectors
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

    def _means(self, vectors: np.ndarray) -> np.ndarray:
        """Of each clip that of its group, `[clips, size]`."""
        means = np.stack([vectors[self._group == group].mean(0) for group in range(self._group.max() + 1)])
        return np.asarray(means[self._group])

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

        Of n clips r = n - 1 are left, and of the g clips of its section g - 1. Without a clip at v from its section's
        mean that mean lies at -v / (g - 1), so that the clip is f = g / (g - 1) times as far from it, and the
        covariance is n / r S - f / r v v^T. Its section's only clip stays where it is.
        """
        n, r, v = len(self._centred), len(self._centred) - 1, self._centred[clip]
        alike, factor = self._alike(clip)
        variances = n / r * np.diag(self._covariance) - factor / r * np.square(v)
        squares = (n * self._square - np.square(self._vectors[clip])) / r
        scale = _deviations(variances, squares) if self.standardise else np.ones(len(v))
        deviation = factor * v / scale
        others = np.delete((self._centred + np.outer(alike, (factor - 1) * v)) / scale, clip, 0)
        if self.covariance == "diagonal":
            return float(
                (np.square(deviation) / (r / max(r - 1, 1) * np.maximum(variances, 0) / scale**2 + RIDGE)).sum()
            )
        covariance = (n / r * self._covariance - factor / r * np.outer(v, v)) / np.outer(scale, scale)
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
            alike, factor = self._alike(clip)
            own, along = squares[clip], float(np.square(v) @ variances)
            trace = n / r * variances.sum() - factor / r * own
            norm = (n / r) ** 2 * np.square(variances).sum() - 2 * n * factor / r**2 * along + (factor / r * own) ** 2
            moved = squares + alike * (2 * (factor - 1) * (centred @ v) + (factor - 1) ** 2 * own)
            fourth = np.square(np.delete(moved, clip)).sum()
            kept, floor = self._shrink(r, trace, norm, fourth)
            q = float((np.square(v) / (kept * n / r * variances + floor)).sum())
            scores[clip] = factor**2 * q / max(1 - kept * factor / r * q, LEFT)
        return scores

    def _alike(self, clip: int) -> tuple[np.ndarray, float]:
        """Which clips are of a clip's section, and its f (see `_left_out`)."""
        alike = self._group == self._group[clip]
        return alike, float(alike.sum() / max(alike.sum() - 1, 1))

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
