"""AUC and pAUC of many fusions at once equal scikit-learn's and our own of each fusion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import by_sklearn, make_trial

from asdcli.challenge.metrics import official as metrics
from asdcli.scores.areas import Trial, areas
from asdcli.scores.fuse import weighted_sums
from asdcli.scores.search import simplex

COUNTS = st.lists(st.integers(1, 25), min_size=2, max_size=3).map(tuple)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), COUNTS, st.sampled_from([1, 2, 5, 40, None]), st.integers(0, 2**32 - 1))
def test_as_scikit_learn_with_and_without_ties(
    systems: int, counts: tuple[int, ...], levels: int | None, seed: int
) -> None:
    trial = make_trial(np.random.default_rng(seed), systems, counts, levels)
    points = simplex(systems, 2)
    found = areas(trial, points.astype(float))
    np.testing.assert_allclose(found.T, [by_sklearn(trial, point) for point in points], rtol=0, atol=1e-12)


@pytest.mark.parametrize("levels", [1, 3, 30, None])
def test_as_our_own_metrics(levels: int | None) -> None:
    trial = make_trial(np.random.default_rng(1), 5, (37, 51, 44), levels)
    points = simplex(5, 3).astype(float)
    found = areas(trial, points)
    fused = weighted_sums(trial.scores, points)
    labels = (trial.kinds == 2).astype(int)
    for kind in range(2):
        rows = (trial.kinds == kind) | (trial.kinds == 2)
        expected = [metrics.auc(labels[rows], scores[rows]) for scores in fused]
        np.testing.assert_allclose(found[kind], expected, rtol=0, atol=1e-14)
    np.testing.assert_allclose(found[2], [metrics.pauc(labels, scores) for scores in fused], rtol=0, atol=1e-14)


def test_one_tie_among_many_fusions_is_seen() -> None:
    scores = np.array([[0.0, 1.0, 2.0, 3.0], [0.5, 2.5, 1.5, 0.1]])
    trial = Trial(scores, np.array([0, 0, 1, 1], dtype=np.uint8))
    points = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])  # under 1:1 clips 1 and 2 tie
    np.testing.assert_allclose(areas(trial, points)[0], [1.0, 0.625, 0.25])


def test_zeros_of_either_sign_tie() -> None:
    trial = Trial(np.array([[0.0, -0.0, 1.0]]), np.array([0, 1, 1], dtype=np.uint8))
    assert areas(trial, np.ones((1, 1)))[0] == 0.75
