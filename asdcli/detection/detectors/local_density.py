"""Distance to the nearest normal embedding, measured by how far that one's own neighbours lie."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal

import numpy as np

from asdcli.detection.bank import Bank, Embeddings, clip_vectors, unit_vectors
from asdcli.detection.detectors.knn import BLOCK_BYTES
from asdcli.detection.domain_wise import NearestDomain

ALIKE = 1e-12  # a mean distance below it is that of clips which are alike

Metric = Literal["cosine", "euclidean"]
Form = Literal["ratio", "difference"]
Reduce = Literal["mean", "sum"]


class LocalDensity:
    """Local density normalisation of the nearest neighbour (Wilkinghoff et al. 2025, "Keeping the balance").

    The score of x is the smallest D(x, y) / d(y) over the clips y of the bank (`ratio`), or D(x, y) - d(y)
    (`difference`), where d(y) is the mean of D(y, .) over the K clips of the bank that are nearest to y, itself left
    out. What is far from a clip whose own neighbours are far, as those of target clips are, is then not called
    anomalous for that. D is half the squared distance of embeddings divided by their lengths, which is one minus their
    cosine, or the Euclidean distance of embeddings as they are; of a clip, the mean embedding.

    Of a clip that is there more than K times d is ALIKE, and the ratio huge for all but its likes. A bank of one clip
    knows no density; its score is the plain distance.

    Args:
        metric: D.
        form: as above.
        neighbours: K; fewer where the bank holds fewer.
        reduce: d(y) is the mean or the sum of the distances.
    """

    def __init__(
        self,
        *,
        metric: Metric = "cosine",
        form: Form = "ratio",
        neighbours: int = 1,
        reduce: Reduce = "mean",
    ) -> None:
        if neighbours < 1:
            raise ValueError("neighbours must be at least 1")
        self.metric, self.form, self.neighbours, self.reduce = metric, form, neighbours, reduce

    def fit(self, bank: Bank) -> None:
        bank.refuse_empty("local_density")
        self._bank = self._vectors(bank.embeddings)
        self._k = min(self.neighbours, len(self._bank) - 1)
        spare = min(self._k + 1, len(self._bank) - 1)  # one more, in case a neighbour is left out
        self._nearest = np.empty((len(self._bank), spare), int)
        self._radii = np.empty((len(self._bank), spare))
        for rows, distances in self._blocks(self._bank):
            distances[np.arange(len(rows)), rows] = np.inf
            self._nearest[rows] = np.argsort(distances, 1, kind="stable")[:, :spare]
            self._radii[rows] = np.take_along_axis(distances, self._nearest[rows], 1)

    def score(self, embeddings: Embeddings) -> np.ndarray:
        vectors = self._vectors(embeddings)
        scores, density = np.empty(len(vectors)), self._density(self._radii[:, : self._k])
        for rows, distances in self._blocks(vectors):
            scores[rows] = self._measured(distances, density).min(1)
        return scores

    def score_bank(self) -> np.ndarray:
        """Each clip against the bank without it, its neighbours' densities too; the clip of a bank of one scores 0.

        A clip that has it among its K nearest has the next one in its place, which is all that `fit` has to keep.
        """
        clips = len(self._bank)
        if clips == 1:
            return np.zeros(1)
        k = min(self.neighbours, clips - 2)
        scores, density = np.empty(clips), self._density(self._radii[:, :k])
        for rows, distances in self._blocks(self._bank):
            for clip, row in zip(rows, distances, strict=True):
                without = density.copy()
                places = self._nearest[:, :k] == clip
                having = np.flatnonzero(places.any(1))
                kept = self._radii[having][~np.pad(places[having], ((0, 0), (0, 1)))].reshape(len(having), k)
                without[having] = self._density(kept)
                measured = self._measured(row, without)
                measured[clip] = np.inf
                scores[clip] = measured.min()
        return scores

    def _vectors(self, embeddings: Embeddings) -> np.ndarray:
        """`[clips, size]`, of length 1 where angles are compared."""
        values = clip_vectors(embeddings, "local_density")
        return unit_vectors(values) if self.metric == "cosine" else values

    def _blocks(self, vectors: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows, and their distances to each clip of the bank, `[rows, clips]`."""
        from scipy.spatial.distance import cdist

        size = max(1, BLOCK_BYTES // (8 * len(self._bank)))
        for begin in range(0, len(vectors), size):
            part = vectors[begin : begin + size]
            if self.metric == "cosine":
                distances = cdist(part, self._bank, "sqeuclidean") / 2
            else:
                distances = cdist(part, self._bank)
            yield np.arange(begin, begin + len(part)), distances

    def _density(self, radii: np.ndarray) -> np.ndarray:
        """d of some clips from the distances of their neighbours, `[clips, K]`; without neighbours, what changes
        nothing.
        """
        if not radii.shape[1]:
            return np.full(len(radii), 1.0 if self.form == "ratio" else 0.0)
        found: np.ndarray = radii.mean(1) if self.reduce == "mean" else radii.sum(1)
        return np.maximum(found, ALIKE) if self.form == "ratio" else found

    def _measured(self, distances: np.ndarray, density: np.ndarray) -> np.ndarray:
        return distances / density if self.form == "ratio" else distances - density


class SoftLocalDensity(NearestDomain):
    """The smaller of two `LocalDensity` scores, of the source clips and of the target clips.

    With the defaults, the form of GenRep (Saengthong & Shinozaki 2025, second of the challenge of that year): Euclidean
    distances, over their sum to 16 neighbours among source clips and to 9 among target clips.

    Args:
        metric, form, reduce: of both.
        neighbours: K among source clips, and where there is no target clip.
        target_neighbours: K among target clips.
    """

    def __init__(
        self,
        *,
        metric: Metric = "euclidean",
        form: Form = "ratio",
        neighbours: int = 16,
        target_neighbours: int = 9,
        reduce: Reduce = "sum",
    ) -> None:
        if target_neighbours < 1:
            raise ValueError("target_neighbours must be at least 1")
        make = partial(LocalDensity, metric=metric, form=form, reduce=reduce)
        super().__init__(partial(make, neighbours=neighbours), partial(make, neighbours=target_neighbours))
