"""The selective Mahalanobis score of the DCASE 2023-2026 baseline."""

from __future__ import annotations

from typing import Literal

import numpy as np

from asdcli.detection.bank import Bank, Embeddings, need, packed_trace_weights, unpack_symmetric
from asdcli.errors import UserError

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
        moments = need(bank.embeddings, "residual_moment", "selective_mahalanobis").astype(np.float64)
        domain = np.where(bank.domain == "target", "target", "source")
        if not len(moments):
            raise UserError("selective_mahalanobis has no training clips to learn a covariance from.")
        self._bank, self._domain, self._moments = bank.embeddings, domain, moments
        self._sums = {name: moments[domain == name].sum(0) for name in ("source", "target")}
        self._counts = {name: int((domain == name).sum()) for name in ("source", "target")}
        self._inverses = [self._inverse(total, n) for total, n in self._per_domain(self._sums, self._counts)]

    def score(self, embeddings: Embeddings) -> np.ndarray:
        moments = need(embeddings, "residual_moment", "selective_mahalanobis").astype(np.float64)
        means = need(embeddings, "residual_mean", "selective_mahalanobis").astype(np.float64)
        return np.minimum(*(self._distance(inverse, moments, means) for inverse in self._inverses))

    def score_bank(self) -> np.ndarray:
        """Exact leave-one-out: each clip is taken out of its domain's second moment before it is scored."""
        means = need(self._bank, "residual_mean", "selective_mahalanobis").astype(np.float64)
        scores = np.empty(len(self._moments))
        for clip, domain in enumerate(self._domain):
            sums = self._sums | {domain: self._sums[domain] - self._moments[clip]}
            counts = self._counts | {domain: self._counts[domain] - 1}
            one = slice(clip, clip + 1)
            scores[clip] = min(
                self._distance(self._inverse(total, n), self._moments[one], means[one])[0]
                for total, n in self._per_domain(sums, counts)
            )
        return scores

    def _per_domain(self, sums: dict[str, np.ndarray], counts: dict[str, int]) -> list[tuple[np.ndarray, int]]:
        """Source and target sums; a domain without clips is replaced by the other, both empty by the whole bank."""
        pairs = [(sums[name], counts[name]) for name in ("source", "target") if counts[name] > 0]
        pairs = pairs or [(self._moments.sum(0), len(self._moments))]
        return [pairs[0], pairs[-1]]

    def _inverse(self, total: np.ndarray, clips: int) -> np.ndarray:
        """Inverse of the mean second moment; directions that the clips leave (almost) empty get the variance FLOOR."""
        variances, axes = np.linalg.eigh(unpack_symmetric(total) / clips)
        variances = np.maximum(variances, FLOOR * variances[-1] + np.finfo(np.float32).tiny)
        return (axes / variances) @ axes.T

    def _distance(self, inverse: np.ndarray, moments: np.ndarray, means: np.ndarray) -> np.ndarray:
        if self.average == "official_code":
            return np.einsum("ni,ij,nj->n", means, inverse, means)
        return moments @ packed_trace_weights(inverse) / len(inverse)
