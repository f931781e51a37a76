"""Cosine similarity to the nearest normal embeddings."""

from __future__ import annotations

from typing import Literal

import numpy as np

from asdcli.detection.bank import Bank, Embeddings, need

BLOCK_BYTES = 64 << 20  # of similarities held at once


class CosineKnn:
    """One minus the mean cosine similarity to the `neighbours` nearest training embeddings of the section.

    Clips are described by one embedding `[clips, size]` or one per piece `[clips, pieces, size]`; a clip's score is the
    mean over its pieces. Zhou's DCASE 2021 report gives "K = 10 for embedding's similarity calculation" and leaves
    open of what: with ten pieces per clip (the view's `pieces`) and ten neighbours, the default here, both readings
    hold. Neighbours alone: `unit: clip`. Pieces alone: `neighbours: 1`.

    Args:
        neighbours: K; fewer where the bank holds fewer.
        unit: compare `piece` with piece, or the mean embedding of each `clip`.
    """

    def __init__(self, *, neighbours: int = 10, unit: Literal["piece", "clip"] = "piece") -> None:
        if neighbours < 1:
            raise ValueError("neighbours must be at least 1")
        self.neighbours, self.unit = neighbours, unit

    def fit(self, bank: Bank) -> None:
        self._bank = self._vectors(bank.embeddings)

    def score(self, embeddings: Embeddings) -> np.ndarray:
        return self._score(self._vectors(embeddings))

    def score_bank(self) -> np.ndarray:
        """Each clip against the bank without any piece of its own. A bank of one clip scores itself 1."""
        return self._score(self._bank, own=True) if len(self._bank) > 1 else np.ones(len(self._bank))

    def _vectors(self, embeddings: Embeddings) -> np.ndarray:
        """Unit vectors `[clips, pieces, size]`."""
        values = need(embeddings, "embedding", "cosine_knn").astype(np.float64)
        if values.ndim == 2:
            values = values[:, None]
        if self.unit == "clip":
            values = values.mean(1, keepdims=True)
        return values / np.maximum(np.linalg.norm(values, axis=2, keepdims=True), 1e-12)

    def _score(self, vectors: np.ndarray, own: bool = False) -> np.ndarray:
        clips, pieces, _ = vectors.shape
        bank = self._bank.reshape(-1, self._bank.shape[2])
        k = min(self.neighbours, len(bank) - (pieces if own else 0))
        block = max(1, BLOCK_BYTES // (8 * pieces * len(bank)))
        scores = np.empty(clips)
        for begin in range(0, clips, block):
            part = vectors[begin : begin + block]
            similarity = part.reshape(-1, part.shape[2]) @ bank.T  # [clips * pieces, bank pieces]
            if own:
                for row in range(len(part)):
                    clip = begin + row
                    similarity[row * pieces : (row + 1) * pieces, clip * pieces : (clip + 1) * pieces] = -np.inf
            nearest = np.partition(similarity, similarity.shape[1] - k, axis=1)[:, -k:]
            scores[begin : begin + block] = 1.0 - nearest.mean(1).reshape(len(part), pieces).mean(1)
        return scores
