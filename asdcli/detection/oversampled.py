"""More target clips than there are: a bank is filled up with synthetic ones before a detector sees it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from asdcli.detection.bank import Bank, Detector, Embeddings, take
from asdcli.recipe.schema import Smote


class Oversampled:
    """A detector of a bank in which target clips have synthetic ones beside them (SMOTE, Chawla et al. 2002).

    A synthetic clip lies between a target clip and one of its nearest target clips, by all embeddings together, and
    remembers both as its parents. Left out of its own bank, a clip leaves together with its children: without that,
    target clips would find themselves in them.

    Args:
        make: makes an unfitted detector.
        smote: how many synthetic clips, and of how many neighbours.
    """

    def __init__(self, make: Callable[[], Detector], smote: Smote) -> None:
        self._make, self._smote = make, smote

    def fit(self, bank: Bank) -> None:
        self._bank = bank
        self._parts = synthetic_parts(bank, self._smote)
        self._detector = self._fitted(np.arange(len(bank.domain)))

    def score(self, embeddings: Embeddings) -> np.ndarray:
        return self._detector.score(embeddings)

    def score_bank(self) -> np.ndarray:
        clips = np.arange(len(self._bank.domain))
        scores = np.asarray(self._detector.score_bank(), dtype=np.float64)[: len(clips)]
        for parent in np.flatnonzero(self._parts.any(0)):
            without = self._fitted(np.delete(clips, parent))
            scores[parent] = without.score(take(self._bank.embeddings, np.array([parent])))[0]
        return scores

    def _fitted(self, rows: np.ndarray) -> Detector:
        """A detector of some clips of the bank, and of the synthetic ones whose parents are among them."""
        parts = self._parts[:, rows]
        detector = self._make()
        detector.fit(_filled(self._bank.take(rows), parts[np.isclose(parts.sum(1), 1.0)]))
        return detector


def synthetic_parts(bank: Bank, smote: Smote) -> np.ndarray:
    """How much of each clip is in each synthetic one, `[synthetic, clips]`; each has one or two parents and sums to 1.

    None where the bank has enough target clips, fewer than two, or no others. What imbalanced-learn makes does not tell
    its parents; columns of its own for each clip, equally far from those of all others, do and leave the order of
    neighbours as it is.
    """
    is_target = bank.domain == "target"
    targets, wanted = int(is_target.sum()), round(smote.ratio * int((~is_target).sum()))
    clips = len(is_target)
    if targets < 2 or wanted <= targets:
        return np.zeros((0, clips))
    from imblearn.over_sampling import SMOTE

    values = np.concatenate([part.reshape(clips, -1) for part in bank.embeddings.values()], 1).astype(np.float64)
    size = float(np.abs(values).max()) or 1.0
    sampler = SMOTE(
        sampling_strategy={1: wanted},
        k_neighbors=min(smote.neighbours, targets - 1),
        random_state=0,
    )
    made, _ = sampler.fit_resample(np.concatenate([values, size * np.eye(clips)], 1), is_target.astype(int))
    return np.asarray(made)[clips:, values.shape[1] :] / size


def _filled(bank: Bank, parts: np.ndarray) -> Bank:
    """The bank with synthetic clips behind it, of the section and class of the parent of which they have more."""
    parent = parts.argmax(1) if len(parts) else np.zeros(0, dtype=int)
    embeddings = {
        name: np.concatenate([values, np.tensordot(parts, values.astype(np.float64), 1).astype(values.dtype)])
        for name, values in bank.embeddings.items()
    }
    label = None if bank.label is None else np.concatenate([bank.label, bank.label[parent]])
    domain = np.concatenate([bank.domain, bank.domain[parent]])
    return Bank(embeddings, domain, np.concatenate([bank.section, bank.section[parent]]), label, bank.home)
