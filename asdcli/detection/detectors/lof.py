"""Local outlier factor: how much thinner the surroundings of a clip are than those of its neighbours."""

from __future__ import annotations

import warnings

import numpy as np

from asdcli.detection.bank import Bank, Embeddings, clip_vectors

TINY = 1e-10  # added to mean distances, as scikit-learn does
SMALLEST_CONTAMINATION = 1e-6  # of the published code; it moves scikit-learn's decisions, not its scores


class LocalOutlierFactor:
    """Local outlier factor (Breunig et al. 2000) of a clip's mean embedding, by cosine distance; 1 is ordinary.

    MobileAnoNet (2023) takes four neighbours and scikit-learn's `novelty=True`: a new clip is compared with the bank
    and changes nothing in it. scikit-learn has factors of the bank's own clips too (`negative_outlier_factor_`), but
    there each clip is among its neighbours' neighbours; `score_bank` gives what a fit without the clip would give it.
    Clips that are all alike have no surroundings to compare, nor has one clip, beside which the score is 1 plus the
    distance: every score is then finite, and 1 for a clip like them. Next to more than `neighbours` clips that are
    alike it is finite and may be huge. A vector of zeros lies at distance 1 from all others.

    Args:
        neighbours: fewer where the bank holds fewer.
    """

    def __init__(self, *, neighbours: int = 4) -> None:
        if neighbours < 1:
            raise ValueError("neighbours must be at least 1")
        self.neighbours = neighbours

    def fit(self, bank: Bank) -> None:
        from sklearn.neighbors import LocalOutlierFactor as Reference

        bank.refuse_empty("lof")
        self._bank = clip_vectors(bank.embeddings, "lof")
        if len(self._bank) == 1:
            return
        self._reference = Reference(
            n_neighbors=min(self.neighbours, len(self._bank) - 1),
            metric="precomputed",
            novelty=True,
            contamination=SMALLEST_CONTAMINATION,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of clips that are alike
            self._reference.fit(_cosine_distances(self._bank, self._bank))

    def score(self, embeddings: Embeddings) -> np.ndarray:
        distances = _cosine_distances(clip_vectors(embeddings, "lof"), self._bank)
        if len(self._bank) == 1:
            return 1.0 + distances[:, 0]
        return np.asarray(-self._reference.score_samples(distances))

    def score_bank(self) -> np.ndarray:
        """Each clip against the bank without it, as fitted anew; the clip of a bank of one scores 1.

        Without clip i, every clip has the neighbours it had, but for i, in whose place the next one comes: the k + 1
        nearest of each are all that it takes, and no distance is computed twice. Where clips that differ are equally
        far, here the first of them is the last neighbour. scikit-learn takes any of them, as the order of clips has it,
        so that its factors of such clips are not unique.
        """
        clips = len(self._bank)
        if clips == 1:
            return np.ones(1)
        distances = _cosine_distances(self._bank, self._bank)
        if clips == 2:
            return np.full(2, 1.0 + distances[0, 1])
        k = min(self.neighbours, clips - 2)
        np.fill_diagonal(distances, np.inf)
        order = np.argsort(distances, 1, kind="stable")[:, : k + 1]  # the nearest of each clip, one to spare
        return np.array([self._left_out(distances, order, clip) for clip in range(clips)])

    def _left_out(self, distances: np.ndarray, order: np.ndarray, clip: int) -> float:
        """The factor of one clip in a bank without it. order: the k + 1 nearest of each clip, `[clips, k + 1]`."""
        own = order[clip, :-1]  # its neighbours, [k]
        nearest = _without(order, own, clip)  # theirs, [k, k]
        reach_of = _without(order, nearest.ravel(), clip)[:, -1].reshape(nearest.shape)
        radius = distances[nearest, reach_of]  # how far those neighbours' own neighbours lie, [k, k]
        density = 1 / (np.maximum(distances[own[:, None], nearest], radius).mean(1) + TINY)  # of each neighbour
        own_radius = distances[own, nearest[:, -1]]
        own_density = 1 / (np.maximum(distances[clip, own], own_radius).mean() + TINY)
        return float((density / own_density).mean())


def _without(order: np.ndarray, rows: np.ndarray, clip: int) -> np.ndarray:
    """The k nearest of some clips when one is left out: `[rows, k]` from `[clips, k + 1]`."""
    found = order[rows]
    is_clip = found == clip
    is_clip[~is_clip.any(1), -1] = True  # where it is none of them, the spare one goes
    return found[~is_clip].reshape(len(found), -1)


def _cosine_distances(vectors: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """`[vectors, bank]`, 1 for a vector of zeros."""
    from sklearn.metrics.pairwise import cosine_distances

    found: np.ndarray = cosine_distances(vectors, bank)
    return found
