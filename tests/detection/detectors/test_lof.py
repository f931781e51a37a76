"""Local outlier factors left out one at a time, against plain refits of scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import LocalOutlierFactor as Reference

from asdcli.detection.bank import Bank
from asdcli.detection.detectors.lof import LocalOutlierFactor


def fitted(values: np.ndarray, **params: int) -> LocalOutlierFactor:
    detector = LocalOutlierFactor(**params)
    detector.fit(Bank({"embedding": values}, np.full(len(values), "source"), np.full(len(values), "00")))
    return detector


@given(clips=st.integers(3, 25), neighbours=st.integers(1, 6), seed=st.integers(0, 1000))
def test_a_clip_left_out_has_the_factor_of_a_fit_without_it(clips: int, neighbours: int, seed: int) -> None:
    values = np.random.default_rng(seed).standard_normal((clips, 4))
    expected = []
    for clip in range(clips):
        reference = Reference(n_neighbors=min(neighbours, clips - 2), metric="cosine", novelty=True)
        reference.fit(np.delete(values, clip, 0))
        expected.append(-reference.score_samples(values[clip : clip + 1])[0])
    np.testing.assert_allclose(fitted(values, neighbours=neighbours).score_bank(), expected, rtol=1e-9)


def test_that_is_not_the_factor_among_all_clips() -> None:
    values = np.random.default_rng(0).standard_normal((30, 4))
    among_all = -Reference(n_neighbors=4, metric="cosine", novelty=True).fit(values).negative_outlier_factor_
    assert abs(fitted(values).score_bank() / among_all - 1).max() > 0.1


@pytest.mark.parametrize("clips", [1, 2, 3, 6])
def test_clips_that_are_alike_score_one_without_a_warning(clips: int) -> None:
    values = np.tile([1.0, 2.0, 3.0], (clips, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector = fitted(values)
        np.testing.assert_allclose(detector.score({"embedding": values}), 1)
        np.testing.assert_allclose(detector.score_bank(), 1)
        other = detector.score({"embedding": np.array([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0]])})
    assert (other > 1).all()
    assert np.isfinite(other).all()


def test_beside_one_clip_the_score_is_one_plus_the_distance() -> None:
    one = fitted(np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(one.score({"embedding": np.array([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])}), [1, 2, 3])
    two = fitted(np.eye(2))
    np.testing.assert_allclose(two.score_bank(), [2, 2])


@pytest.mark.parametrize("clips", [2, 3, 4])
def test_fewer_clips_than_neighbours(clips: int) -> None:
    values = np.random.default_rng(0).standard_normal((clips, 4))
    test = {"embedding": np.random.default_rng(1).standard_normal((3, 4))}
    np.testing.assert_allclose(fitted(values).score(test), fitted(values, neighbours=clips - 1).score(test))


def test_impossible_parameters() -> None:
    with pytest.raises(ValueError, match="neighbours must be at least 1"):
        LocalOutlierFactor(neighbours=0)
