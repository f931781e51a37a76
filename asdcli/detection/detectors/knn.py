"""Distance to the nearest normal embeddings."""

from __future__ import annotations

from typing import Literal

import numpy as np

from asdcli.detection.bank import Bank, Embeddings, clip_vectors, need, unit_vectors

BLOCK_BYTES = 128 << 20  # of distances held at once
SPARE = 8  # more candidates than neighbours, whose distances are then taken exactly


class Knn:
    """Distance to the `neighbours` nearest training embeddings of the section.

    Clips are described by one embedding `[clips, size]` or one per piece `[clips, pieces, size]`. The defaults are
    those of MobileAnoNet (2023, section III): the mean of the two smallest cosine distances between clips; its
    published code adds up two Euclidean distances. Zhou's DCASE 2021 report gives "K = 10 for embedding's similarity
    calculation" and leaves open of what: with ten pieces per clip (the view's `pieces`), `unit: piece` and ten
    neighbours both readings hold.

    Args:
        metric: `cosine` is one minus the cosine of the angle, 1 for a vector of zeros.
        neighbours: K; fewer where the bank holds fewer.
        reduce: a score is the mean or the sum of the distances.
        unit: compare the mean embedding of each `clip`, or `piece` with piece; a clip's score is then the mean over its
            pieces.
    """

    def __init__(
        self,
        *,
        metric: Literal["cosine", "euclidean"] = "cosine",
        neighbours: int = 2,
        reduce: Literal["mean", "sum"] = "mean",
        unit: Literal["piece", "clip"] = "clip",
    ) -> None:
        if neighbours < 1:
            raise ValueError("neighbours must be at least 1")
        self.metric, self.neighbours, self.reduce, self.unit = metric, neighbours, reduce, unit

    def fit(self, bank: Bank) -> None:
        bank.refuse_empty("knn")
        self._centre = np.zeros(1)
        self._bank = self._vectors(bank.embeddings)
        if self.metric == "euclidean":  # what all vectors have in common would cost digits in a product of matrices
            self._centre = self._bank.mean((0, 1))
            self._bank = self._bank - self._centre

    def score(self, embeddings: Embeddings) -> np.ndarray:
        return self._score(self._vectors(embeddings))

    def score_bank(self) -> np.ndarray:
        """Each clip against the bank without any piece of its own. A bank of one clip scores itself 1 by any metric."""
        return self._score(self._bank, own=True) if len(self._bank) > 1 else np.ones(len(self._bank))

    def _vectors(self, embeddings: Embeddings) -> np.ndarray:
        """`[clips, pieces, size]`, of length 1 where angles are compared, else about the bank's centre."""
        if self.unit == "clip":
            values = clip_vectors(embeddings, "knn")[:, None]
        else:
            values = need(embeddings, "embedding", "knn").astype(np.float64)
            values = values[:, None] if values.ndim == 2 else values
        return unit_vectors(values) if self.metric == "cosine" else values - self._centre

    def _score(self, vectors: np.ndarray, own: bool = False) -> np.ndarray:
        clips, pieces, _ = vectors.shape
        bank = self._bank.reshape(-1, self._bank.shape[2])
        others = len(bank) - (pieces if own else 0)
        k, candidates = min(self.neighbours, others), min(self.neighbours + SPARE, others)
        block = max(1, BLOCK_BYTES // (8 * pieces * max(len(bank), candidates * bank.shape[1])))
        scores = np.empty(clips)
        for begin in range(0, clips, block):
            part = vectors[begin : begin + block]
            flat = part.reshape(-1, part.shape[2])
            nearness = self._nearness(flat, bank)  # [clips * pieces, bank pieces]
            if own:
                for row in range(len(part)):
                    clip = begin + row
                    nearness[row * pieces : (row + 1) * pieces, clip * pieces : (clip + 1) * pieces] = -np.inf
            if self.metric == "euclidean":
                chosen = np.argpartition(nearness, nearness.shape[1] - candidates, axis=1)[:, -candidates:]
                nearness = -np.linalg.norm(flat[:, None] - bank[chosen], axis=2)
            nearest = np.partition(nearness, nearness.shape[1] - k, axis=1)[:, -k:]
            scores[begin : begin + block] = nearest.mean(1).reshape(len(part), pieces).mean(1)
        distances = 1.0 - scores if self.metric == "cosine" else -scores
        return distances * k if self.reduce == "sum" else distances

    def _nearness(self, vectors: np.ndarray, bank: np.ndarray) -> np.ndarray:
        """The cosine of each pair; or what orders a vector's neighbours as their distance does, to rounding, and takes
        one product of matrices: 2 v b - |b|^2. `[vectors, bank]`.
        """
        if self.metric == "cosine":
            similarity: np.ndarray = vectors @ bank.T
            return similarity
        return 2 * vectors @ bank.T - np.square(bank).sum(1)
