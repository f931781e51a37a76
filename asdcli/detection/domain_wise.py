"""One detector per domain: a clip is normal when it is normal for one of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from asdcli.detection.bank import Bank, Detector, Embeddings, take

LEAST = 3  # clips of a domain that can tell how far apart its clips are


class NearestDomain:
    """The smaller of two scores: of a detector of the source clips, and of one of the target clips.

    A domain without clips leaves all to the other.

    Args:
        make: makes an unfitted detector.
        make_target: one of the target clips, where that is another.
    """

    least = 1  # clips of a domain, of the home section, for a detector of its own
    standardised = False  # whether scores are measured by those of the domain's own clips

    def __init__(self, make: Callable[[], Detector], make_target: Callable[[], Detector] | None = None) -> None:
        self._makes = make, make_target or make

    def fit(self, bank: Bank) -> None:
        is_target = bank.domain == "target"
        groups = [np.flatnonzero(~is_target), np.flatnonzero(is_target)]
        pairs = list(zip(self._makes, groups, strict=True))
        at_home = [int(bank.at_home[rows].sum()) for rows in groups]
        if min(at_home) < self.least:
            larger, _ = pairs[int(np.argmax(at_home))]
            pairs = [(larger, np.arange(len(bank.domain)))]
        self._bank = bank
        self._domains = [_Domain(make(), bank, rows, self.standardised) for make, rows in pairs]

    def score(self, embeddings: Embeddings) -> np.ndarray:
        return np.min([domain.score(embeddings) for domain in self._domains], axis=0)

    def shares(self, embeddings: Embeddings) -> np.ndarray:
        """What each dimension counts in the score of the domain that is nearer: `[clips, size]`, for detectors that can
        tell.
        """
        nearest = np.argmin([domain.score(embeddings) for domain in self._domains], axis=0)
        shares = np.stack([domain.shares(embeddings) for domain in self._domains])
        return shares[nearest, np.arange(len(nearest))]

    def score_bank(self) -> np.ndarray:
        """Each clip without itself in its domain; a domain whose only clip it is counts for the others alone."""
        scores = np.empty((len(self._domains), len(self._bank.domain)))
        for row, domain in zip(scores, self._domains, strict=True):
            row[domain.rows] = domain.own if len(domain.rows) > 1 or len(self._domains) == 1 else np.inf
            for other in self._domains:
                if other is not domain:
                    row[other.rows] = domain.score(take(self._bank.embeddings, other.rows))
        return np.min(scores, axis=0)


class DomainWise(NearestDomain):
    """The smaller of two standardised scores.

    The few target clips lie farther from each other than the many source clips do, so that a distance to the nearest
    training clip calls them anomalous. Here each detector's scores are measured by those of its domain's own training
    clips left out one at a time, (score - mean) / deviation, before the smaller one is taken. GenRep (Saengthong 2024)
    does so with statistics of the test clips, which the rules forbid. When a domain has fewer than LEAST clips, one
    detector knows them all.
    """

    least, standardised = LEAST, True


class _Domain:
    """A detector of some rows of a bank; its scores in deviations of theirs, where that is asked for."""

    def __init__(self, detector: Detector, bank: Bank, rows: np.ndarray, standardised: bool) -> None:
        self.rows, self._detector = rows, detector
        detector.fit(bank.take(rows))
        own = np.asarray(detector.score_bank())
        typical = own[bank.at_home[rows]]
        self._mean = float(typical.mean()) if standardised else 0.0
        self._deviation = float(typical.std() or 1.0) if standardised else 1.0
        self.own = self._measured(own)

    def score(self, embeddings: Embeddings) -> np.ndarray:
        return self._measured(self._detector.score(embeddings))

    def shares(self, embeddings: Embeddings) -> np.ndarray:
        return np.asarray(self._detector.shares(embeddings))  # type: ignore[attr-defined]

    def _measured(self, scores: np.ndarray) -> np.ndarray:
        return (scores - self._mean) / self._deviation
