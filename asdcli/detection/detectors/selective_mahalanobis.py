"""The selective Mahalanobis score of the DCASE 2023-2026 baseline."""

from __future__ import annotations

from typing import Literal

import numpy as np

from asdcli.detection.bank import Bank, Embeddings, need, packed_trace_weights, unpack_symmetric

FLOOR = 1e-6  # of the largest variance: what is below it in float32 moments is rounding, of either sign


class SelectiveMahalanobis:
    """The smaller of two Mahalanobis distances of a clip's residuals: to the source and to the target covariance.

    Harada et al. 2023 (arXiv:2303.00455): residuals of the auto-encoder, one row of `features` values per frame of
    each window; one second-moment matrix per domain (residuals are not centred); a domain without clips uses the other.

    Args:
        average: `frames` is the description: the squared distances of the rows are averaged, trace(Sigma^-1 C) divided
            by the number of features. `official_code` is what the published code computes: it averages every entry of
            delta Sigma^-1 delta^T, which is the squared distance of the mean row. (That code also divides its
            covariances by windows instead of rows; both distances shrink by one factor and no ranking changes, so it
            is no option here.)
    """

    def __init__(self, *, average: Literal["frames", "official_code"] = "frames") -> None:
        self.average = average

    def fit(self, bank: Bank) -> None:
        bank.refuse_empty("selective_mahalanobis")
        moments = need(bank.embeddings, "residual_moment", "selective_mahalanobis").astype(np.float64)
        domain = np.where(bank.domain == "target", "target", "source")
        self._bank, self._domain, self._moments = bank.embeddings, domain, moments
        self._sums = {name: moments[domain == name].sum(0) for name in ("source", "target")}
        self._counts = {name: int((domain == name).sum()) for name in ("source", "target")}
        self._inverses = {name: self._inverse(self._sums[name], n) for name, n in self._counts.items() if n}

    def score(self, embeddings: Embeddings) -> np.ndarray:
        moments = need(embeddings, "residual_moment", "selective_mahalanobis").astype(np.float64)
        means = need(embeddings, "residual_mean", "selective_mahalanobis").astype(np.float64)
        return self._nearest(self._inverses, moments, means)

    def score_bank(self) -> np.ndarray:
        """Exact leave-one-out: each clip is taken out of its domain's second moment before it is scored.

        A domain whose only clip it was is left out; the clip of a bank of one is scored with itself.
        """
        means = need(self._bank, "residual_mean", "selective_mahalanobis").astype(np.float64)
        scores = np.empty(len(self._moments))
        for clip, domain in enumerate(self._domain):
            others = {name: inverse for name, inverse in self._inverses.items() if name != domain}
            if self._counts[domain] > 1:
                rest = self._sums[domain] - self._moments[clip]
                others[domain] = self._inverse(rest, self._counts[domain] - 1)
            one = slice(clip, clip + 1)
            scores[clip] = self._nearest(others or self._inverses, self._moments[one], means[one])[0]
        return scores

    def _nearest(self, inverses: dict[str, np.ndarray], moments: np.ndarray, means: np.ndarray) -> np.ndarray:
        """The smaller of the distances to the domains there are."""
        return np.min([self._distance(inverse, moments, means) for inverse in inverses.values()], axis=0)

    def _inverse(self, total: np.ndarray, clips: int) -> np.ndarray:
        """Inverse of the mean second moment; directions that the clips leave (almost) empty get the variance FLOOR."""
        variances, axes = np.linalg.eigh(unpack_symmetric(total) / clips)
        variances = np.maximum(variances, FLOOR * variances[-1] + np.finfo(np.float32).tiny)
        return (axes / variances) @ axes.T

    def _distance(self, inverse: np.ndarray, moments: np.ndarray, means: np.ndarray) -> np.ndarray:
        if self.average == "official_code":
            return np.einsum("ni,ij,nj->n", means, inverse, means)
        return moments @ packed_trace_weights(inverse) / len(inverse)
