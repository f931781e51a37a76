"""One detector per domain: a clip is normal when it is normal for one of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from asdcli.detection.bank import Bank, Detector, Embeddings, take

LEAST = 3  # clips of a domain that can tell how far apart its clips are


class DomainWise:
    """The smaller of two standardised scores: of a detector of the source clips, and of one of the target clips.

    The few target clips lie farther from each other than the many source clips do, so that a distance to the nearest
    training clip calls them anomalous. Here each detector's scores are measured by those of its domain's own training
    clips left out one at a time, (score - mean) / deviation, before the smaller one is taken. GenRep (Saengthong 2024)
    does so with statistics of the test clips, which the rules forbid. When a domain has fewer than LEAST clips, one
    detector knows them all.

    Args:
        make: makes an unfitted detector.
    """

    def __init__(self, make: Callable[[], Detector]) -> None:
        self._make = make

    def fit(self, bank: Bank) -> None:
        is_target = bank.domain == "target"
        groups = [np.flatnonzero(~is_target), np.flatnonzero(is_target)]
        if min(map(len, groups)) < LEAST:
            groups = [np.arange(len(bank.domain))]
        self._bank = bank
        self._domains = [_Domain(self._make(), bank, rows) for rows in groups]

    def score(self, embeddings: Embeddings) -> np.ndarray:
        return np.min([domain.score(embeddings) for domain in self._domains], axis=0)

    def score_bank(self) -> np.ndarray:
        scores = np.empty((len(self._domains), len(self._bank.domain)))
        for row, domain in zip(scores, self._domains, strict=True):
            row[domain.rows] = domain.own
            for other in self._domains:
                if other is not domain:
                    row[other.rows] = domain.score(take(self._bank.embeddings, other.rows))
        return np.min(scores, axis=0)


class _Domain:
    """A detector of some rows of a bank, its scores in deviations of theirs."""

    def __init__(self, detector: Detector, bank: Bank, rows: np.ndarray) -> None:
        self.rows, self._detector = rows, detector
        detector.fit(bank.take(rows))
        own = detector.score_bank()
        self._mean, self._deviation = own.mean(), own.std() or 1.0
        self.own = self._standardise(own)

    def score(self, embeddings: Embeddings) -> np.ndarray:
        return self._standardise(self._detector.score(embeddings))

    def _standardise(self, scores: np.ndarray) -> np.ndarray:
        return (scores - self._mean) / self._deviation
