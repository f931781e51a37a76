"""Mahalanobis distance of embeddings, against scikit-learn's Ledoit-Wolf estimate and against plain refits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf
from sklearn.metrics import DistanceMetric

from asdcli.detection.bank import Bank
from asdcli.detection.detectors.mahalanobis import Mahalanobis


def vectors(clips: int, size: int, seed: int = 0) -> np.ndarray:
    """Clips off the origin whose values go together and differ in scale."""
    rng = np.random.default_rng(seed)
    return 3 + rng.standard_normal((clips, size)) @ rng.standard_normal((size, size)) * np.logspace(0, -2, size)


SHRUNK = {"covariance": "ledoit_wolf", "squared": True}
BOTH = [SHRUNK, {"covariance": "ridge", "squared": False}]


def fitted(values: np.ndarray, params: dict[str, Any] = SHRUNK) -> Mahalanobis:
    detector = Mahalanobis(**params)
    detector.fit(Bank({"embedding": values}, np.full(len(values), "source"), np.full(len(values), "00")))
    return detector


@pytest.mark.parametrize(("clips", "size"), [(200, 5), (30, 8), (10, 40)])
def test_the_covariance_is_shrunk_as_in_scikit_learn(clips: int, size: int) -> None:
    training, test = vectors(clips, size), vectors(7, size, seed=1)
    expected = LedoitWolf().fit(training).mahalanobis(test)
    np.testing.assert_allclose(fitted(training).score({"embedding": test}), expected, rtol=1e-6)


def test_the_numbers_of_version_0_1() -> None:
    """What `embedding_mahalanobis` of arcface_ensemble and ssl_classifier gave before it took options."""
    training, test = np.sin(np.arange(60.0) ** 2).reshape(5, 3, 4), np.cos(np.arange(24.0) ** 2).reshape(2, 3, 4)
    detector = fitted(training, SHRUNK)
    own = [2.6137650636021066, 5.6211685415222465, 3.7223039681339247, 7.0226493269026244, 121.86420333707042]
    np.testing.assert_allclose(detector.score({"embedding": test}), [9.088083155388164, 6.061260413761404], rtol=1e-11)
    np.testing.assert_allclose(detector.score_bank(), own, rtol=1e-11)


@pytest.mark.parametrize("params", BOTH, ids=["ledoit_wolf", "ridge"])
@given(st.integers(3, 12), st.integers(1, 15), st.integers(0, 1000))
def test_leaving_a_clip_out_is_fitting_without_it(params: dict[str, Any], clips: int, size: int, seed: int) -> None:
    training = vectors(clips, size, seed)
    expected = [
        fitted(np.delete(training, clip, 0), params).score({"embedding": training[clip : clip + 1]})[0]
        for clip in range(clips)
    ]
    np.testing.assert_allclose(fitted(training, params).score_bank(), expected, rtol=1e-6)


def test_the_ridge_is_that_of_the_published_code() -> None:
    """scikit-learn's distance, square root and all, with the sample covariance and 1e-6 on its diagonal."""
    training, test = vectors(30, 4), vectors(7, 4, seed=1)
    metric = DistanceMetric.get_metric("mahalanobis", V=np.cov(training.T) + 1e-6 * np.eye(4))
    expected = metric.pairwise(test, training.mean(0)[None])[:, 0]
    np.testing.assert_allclose(fitted(training, {}).score({"embedding": test}), expected, rtol=1e-8)


def test_with_a_ridge_clips_that_do_not_vary_are_far_from_all_others() -> None:
    alike = fitted(np.ones((5, 3)), {})
    np.testing.assert_allclose(alike.score({"embedding": np.array([[1.0, 1.0, 3.0]])}), [2e3])
    np.testing.assert_allclose(alike.score_bank(), 0.0, atol=1e-9)
    assert fitted(np.ones((1, 3)), {}).score_bank() == 0


def test_a_clip_is_the_mean_of_its_pieces() -> None:
    training, test = vectors(30, 4), vectors(3, 4, seed=1)
    own, other = (np.random.default_rng(2).standard_normal((n, 5, 4)) for n in (30, 3))
    in_pieces = fitted(training[:, None] + own - own.mean(1, keepdims=True))
    scores = in_pieces.score({"embedding": test[:, None] + other - other.mean(1, keepdims=True)})
    np.testing.assert_allclose(scores, fitted(training).score({"embedding": test}))


def test_clips_that_do_not_vary_are_at_euclidean_distance() -> None:
    alike, test = np.ones((5, 3)), np.array([[1.0, 2.0, 3.0]])
    for training in (alike, alike[:1]):
        np.testing.assert_allclose(fitted(training).score({"embedding": test}), [5.0])
        np.testing.assert_allclose(fitted(training).score_bank(), 0.0)


def test_two_clips_leave_no_axis_without_variance() -> None:
    two = fitted(np.array([[0.0, 0.0], [3.0, 4.0]]))
    np.testing.assert_allclose(two.score_bank(), [25.0, 25.0])
    across, along = two.score({"embedding": np.array([[1.5 - 4, 2.0 + 3], [1.5 + 3, 2.0 + 4]])})
    assert 100 * along < across < np.inf


@pytest.mark.parametrize(("spread", "rtol"), [(1.0, 1e-8), (100.0, 1e-4), (1000.0, 0.02)])
def test_the_only_clip_in_a_direction_is_left_out_right_however_far_it_lies(spread: float, rtol: float) -> None:
    """With a ridge and fewer clips than dimensions 1e-6 is all that is left of a direction."""
    training = spread * np.random.default_rng(0).standard_normal((8, 20))
    expected = [fitted(np.delete(training, i, 0), {}).score({"embedding": training[i : i + 1]})[0] for i in range(8)]
    np.testing.assert_allclose(fitted(training, {}).score_bank(), expected, rtol=rtol)
    alone = np.concatenate([training[:, :3] @ np.eye(3, 4), np.eye(4)[3:] * spread])  # more clips than dimensions
    others = fitted(alone[:-1], {}).score({"embedding": alone[-1:]})
    np.testing.assert_allclose(fitted(alone, {}).score_bank()[-1:], others, rtol=rtol)
