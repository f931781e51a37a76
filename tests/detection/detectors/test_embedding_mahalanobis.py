"""Mahalanobis distance of embeddings, against scikit-learn's Ledoit-Wolf estimate and against plain refits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf

from asdcli.detection.bank import Bank
from asdcli.detection.detectors.embedding_mahalanobis import EmbeddingMahalanobis
from asdcli.errors import UserError


def vectors(clips: int, size: int, seed: int = 0) -> np.ndarray:
    """Clips off the origin whose values go together and differ in scale."""
    rng = np.random.default_rng(seed)
    return 3 + rng.standard_normal((clips, size)) @ rng.standard_normal((size, size)) * np.logspace(0, -2, size)


def fitted(values: np.ndarray) -> EmbeddingMahalanobis:
    detector = EmbeddingMahalanobis()
    detector.fit(Bank({"embedding": values}, np.full(len(values), "source"), np.full(len(values), "00")))
    return detector


@pytest.mark.parametrize(("clips", "size"), [(200, 5), (30, 8), (10, 40)])
def test_the_covariance_is_shrunk_as_in_scikit_learn(clips: int, size: int) -> None:
    training, test = vectors(clips, size), vectors(7, size, seed=1)
    expected = LedoitWolf().fit(training).mahalanobis(test)
    np.testing.assert_allclose(fitted(training).score({"embedding": test}), expected, rtol=1e-6)


@given(st.integers(3, 12), st.integers(1, 15), st.integers(0, 1000))
def test_leaving_a_clip_out_is_fitting_without_it(clips: int, size: int, seed: int) -> None:
    training = vectors(clips, size, seed)
    expected = [
        fitted(np.delete(training, clip, 0)).score({"embedding": training[clip : clip + 1]})[0] for clip in range(clips)
    ]
    np.testing.assert_allclose(fitted(training).score_bank(), expected, rtol=1e-6)


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


def test_a_bank_without_clips_is_refused() -> None:
    with pytest.raises(UserError, match="no training clips"):
        fitted(np.zeros((0, 3)))
