"""Angle to the mean of the normal embeddings."""

from __future__ import annotations

import numpy as np

from asdcli.detection.bank import Bank, Embeddings, clip_vectors, unit_vectors
from asdcli.detection.domain_wise import NearestDomain


class Cosine:
    """One minus the cosine of the angle between a clip's mean embedding and the mean of the bank's (MobileAnoNet 2023).

    A vector of zeros has the score 1, and so has everything where the mean is zero.
    """

    def fit(self, bank: Bank) -> None:
        bank.refuse_empty("cosine")
        self._bank = clip_vectors(bank.embeddings, "cosine")
        self._mean = self._bank.mean(0)

    def score(self, embeddings: Embeddings) -> np.ndarray:
        return _distances(clip_vectors(embeddings, "cosine"), self._mean)

    def score_bank(self) -> np.ndarray:
        """Each clip against the mean of the others; the clip of a bank of one against itself."""
        others = self._bank.sum(0) - self._bank
        return _distances(self._bank, others if len(self._bank) > 1 else self._mean)


class SoftCosine(NearestDomain):
    """`Cosine` to the mean of the source clips or to that of the target clips, whichever is nearer (MobileAnoNet)."""

    def __init__(self) -> None:
        super().__init__(Cosine)


def _distances(vectors: np.ndarray, means: np.ndarray) -> np.ndarray:
    """`[clips]`, from `[clips, size]` and one mean for all or one each."""
    return 1.0 - (unit_vectors(vectors) * unit_vectors(means)).sum(1)
