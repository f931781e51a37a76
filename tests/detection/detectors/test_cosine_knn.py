"""Cosine similarity to the nearest pieces, against the plainest way to compute it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from asdcli.detection.bank import Bank
from asdcli.detection.detectors.cosine_knn import CosineKnn


def bank(clips: int = 6, pieces: int = 4, seed: int = 0) -> Bank:
    values = np.random.default_rng(seed).standard_normal((clips, pieces, 5))
    return Bank({"embedding": values}, np.full(clips, "source"), np.full(clips, "00"))


@pytest.mark.parametrize("neighbours", [1, 10, 1000])
def test_the_mean_over_pieces_of_the_mean_of_the_nearest(neighbours: int) -> None:
    training, test = bank(), bank(3, seed=1).embeddings
    detector = CosineKnn(neighbours=neighbours)
    detector.fit(training)
    expected = []
    for clip in test["embedding"]:
        similarity = np.sort(cosine_similarity(clip, training.embeddings["embedding"].reshape(-1, 5)), axis=1)
        expected.append(1 - similarity[:, -neighbours:].mean())
    np.testing.assert_allclose(detector.score(test), expected, rtol=1e-10)


def test_clips_may_be_compared_by_their_mean_embedding() -> None:
    training, test = bank(), bank(3, seed=1).embeddings
    detector = CosineKnn(neighbours=2, unit="clip")
    detector.fit(training)
    similarity = cosine_similarity(test["embedding"].mean(1), training.embeddings["embedding"].mean(1))
    np.testing.assert_allclose(detector.score(test), 1 - np.sort(similarity, axis=1)[:, -2:].mean(1), rtol=1e-10)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    training = bank(20)
    whole = CosineKnn()
    whole.fit(training)
    expected = whole.score_bank()
    monkeypatch.setattr("asdcli.detection.detectors.cosine_knn.BLOCK_BYTES", 1)
    np.testing.assert_allclose(whole.score_bank(), expected, rtol=1e-12)
