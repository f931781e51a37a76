"""Cosine similarity to the nearest pieces, against the plainest way to compute it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import cosine_similarity

from asdcli.detection.bank import Bank
from asdcli.detection.detectors.knn import Knn


def bank(clips: int = 6, pieces: int = 4, seed: int = 0) -> Bank:
    values = np.random.default_rng(seed).standard_normal((clips, pieces, 5))
    return Bank({"embedding": values}, np.full(clips, "source"), np.full(clips, "00"))


@pytest.mark.parametrize("neighbours", [1, 10, 1000])
def test_the_mean_over_pieces_of_the_mean_of_the_nearest(neighbours: int) -> None:
    training, test = bank(), bank(3, seed=1).embeddings
    detector = Knn(neighbours=neighbours, unit="piece")
    detector.fit(training)
    expected = []
    for clip in test["embedding"]:
        similarity = np.sort(cosine_similarity(clip, training.embeddings["embedding"].reshape(-1, 5)), axis=1)
        expected.append(1 - similarity[:, -neighbours:].mean())
    np.testing.assert_allclose(detector.score(test), expected, rtol=1e-10)


def test_clips_may_be_compared_by_their_mean_embedding() -> None:
    training, test = bank(), bank(3, seed=1).embeddings
    detector = Knn()
    detector.fit(training)
    similarity = cosine_similarity(test["embedding"].mean(1), training.embeddings["embedding"].mean(1))
    np.testing.assert_allclose(detector.score(test), 1 - np.sort(similarity, axis=1)[:, -2:].mean(1), rtol=1e-10)


@pytest.mark.parametrize("unit", ["clip", "piece"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_distances_are_those_of_scikit_learn(unit: Any, metric: Any, reduce: Any) -> None:
    training, test = bank(), bank(3, seed=1).embeddings
    detector = Knn(metric=metric, reduce=reduce, unit=unit, neighbours=3)
    detector.fit(training)
    known, clips = training.embeddings["embedding"], test["embedding"]
    if unit == "clip":
        known, clips = known.mean(1, keepdims=True), clips.mean(1, keepdims=True)
    found = np.sort(pairwise_distances(clips.reshape(-1, 5), known.reshape(-1, 5), metric), axis=1)[:, :3]
    per_piece = found.mean(1) if reduce == "mean" else found.sum(1)
    np.testing.assert_allclose(detector.score(test), per_piece.reshape(3, -1).mean(1), rtol=1e-10)


def test_the_numbers_of_version_0_1() -> None:
    """What `cosine_knn`, the detector of arcface_ensemble, gave before it took options."""
    training, test = np.sin(np.arange(60.0) ** 2).reshape(5, 3, 4), np.cos(np.arange(24.0) ** 2).reshape(2, 3, 4)
    detector = Knn(neighbours=10, unit="piece")
    detector.fit(Bank({"embedding": training}, np.full(5, "source"), np.full(5, "00")))
    own = [0.8162031295699201, 0.8854909833555022, 0.8258299799139917, 0.8663683950972901, 0.9269263647259267]
    np.testing.assert_allclose(
        detector.score({"embedding": test}), [0.6747361364565904, 0.6941527474801392], rtol=1e-13
    )
    np.testing.assert_allclose(detector.score_bank(), own, rtol=1e-13)


def test_fewer_clips_than_neighbours_and_vectors_of_zeros() -> None:
    values = np.concatenate([bank(2).embeddings["embedding"], np.zeros((1, 4, 5))])
    detector = Knn(neighbours=5)
    detector.fit(Bank({"embedding": values}, np.full(3, "source"), np.full(3, "00")))
    assert detector.score({"embedding": np.zeros((1, 5))}) == pytest.approx(1)
    assert detector.score_bank()[2] == pytest.approx(1)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    training = bank(20)
    whole = Knn(neighbours=10, unit="piece")
    whole.fit(training)
    expected = whole.score_bank()
    monkeypatch.setattr("asdcli.detection.detectors.knn.BLOCK_BYTES", 1)
    np.testing.assert_allclose(whole.score_bank(), expected, rtol=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_euclidean_neighbours_are_found_far_from_the_origin_and_among_copies(offset: float) -> None:
    rng = np.random.default_rng(0)
    values = offset + np.repeat(rng.standard_normal((60, 6)), 12, axis=0)  # more copies than candidates to spare
    values[::3] += 1e-3 * rng.standard_normal((240, 6))
    test = offset + rng.standard_normal((40, 6))
    test[:5] = values[:5]
    detector = Knn(metric="euclidean", neighbours=2)
    detector.fit(Bank({"embedding": values}, np.full(720, "source"), np.full(720, "00")))
    expected = np.sort(cdist(test, values), axis=1)[:, :2].mean(1)
    np.testing.assert_allclose(detector.score({"embedding": test}), expected, rtol=1e-7, atol=1e-9 * max(1, offset))
    own = np.sort(cdist(values, values), axis=1)[:, 1:3].mean(1)
    np.testing.assert_allclose(detector.score_bank(), own, rtol=1e-7, atol=1e-9 * max(1, offset))
