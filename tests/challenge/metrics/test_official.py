from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hmean
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from asdcli.challenge.metrics import official as metrics
from asdcli.challenge.metrics.bootstrap import percentile_interval, resample

few_values = st.integers(0, 3).map(float)
many_values = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))


@st.composite
def labelled_scores(draw, values=few_values | many_values, largest=60):
    """Both classes, of any sizes; few values make ties within and across them."""
    value = draw(st.sampled_from([few_values, many_values, st.just(1.0)]))
    n_normal, n_anomalous = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    labels = np.array(draw(st.permutations([0] * n_normal + [1] * n_anomalous)))
    return labels, np.array(draw(st.lists(value, min_size=len(labels), max_size=len(labels))))


@given(labelled_scores())
def test_auc_equals_sklearn(data):
    labels, scores = data
    assert metrics.auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@given(labelled_scores(), st.sampled_from([0.1, 0.03, 0.5, 1.0 - 1e-9]))
def test_pauc_equals_sklearn(data, max_fpr):
    labels, scores = data
    expected = roc_auc_score(labels, scores, max_fpr=max_fpr)
    assert metrics.pauc(labels, scores, max_fpr) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_normal", [1, 5, 10, 20, 100, 109, 990])
@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_sizes_at_which_the_curve_meets_or_misses_the_limit(n_normal, decimals):
    rng = np.random.default_rng(n_normal)
    labels = np.r_[np.zeros(n_normal, int), np.ones(33, int)]
    scores = np.round(rng.normal(size=len(labels)) + labels, decimals)
    assert metrics.auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert metrics.pauc(labels, scores) == pytest.approx(roc_auc_score(labels, scores, max_fpr=0.1), abs=1e-12)


@given(labelled_scores(largest=15), st.integers(0, 2**32 - 1))
def test_weights_are_multiplicities(data, seed):
    labels, scores = data
    weights = np.random.default_rng(seed).integers(0, 4, size=(len(labels), 5)).astype(float)
    areas, partial = metrics.weighted_auc_pauc(labels, scores, weights)
    for draw in range(5):
        often = weights[:, draw].astype(int)
        some_labels, some_scores = np.repeat(labels, often), np.repeat(scores, often)
        if len(set(some_labels)) < 2:
            assert math.isnan(areas[draw])
            assert math.isnan(partial[draw])
        else:
            assert areas[draw] == pytest.approx(roc_auc_score(some_labels, some_scores), abs=1e-12)
            assert partial[draw] == pytest.approx(roc_auc_score(some_labels, some_scores, max_fpr=0.1), abs=1e-12)


def test_constant_perfect_and_reversed_scores():
    labels = np.array([0, 0, 1, 1, 1])
    assert metrics.auc(labels, np.full(5, 7.0)) == 0.5
    assert metrics.pauc(labels, np.full(5, 7.0)) == pytest.approx(0.5, abs=1e-15)
    assert (metrics.auc(labels, labels * 1.0), metrics.pauc(labels, labels * 1.0)) == (1.0, 1.0)
    assert metrics.auc(labels, -labels * 1.0) == 0.0


@pytest.mark.parametrize("labels", [np.zeros(4, int), np.ones(4, int), np.zeros(0, int)])
def test_one_class_alone_is_nan_without_a_warning(labels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = np.arange(len(labels), dtype=float)
        assert math.isnan(metrics.auc(labels, scores))
        assert math.isnan(metrics.pauc(labels, scores))
        assert math.isnan(metrics.separability(labels, scores))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1))
def test_precision_recall_f1_equal_sklearn(pairs):
    labels, decisions = np.array(pairs).T
    expected = precision_recall_fscore_support(labels, decisions, average="binary", zero_division=0)
    assert metrics.precision_recall_f1(labels, decisions) == pytest.approx(expected[:3], abs=1e-12)


@given(st.lists(st.floats(0.0, 1.0), min_size=1))
def test_harmonic_mean_equals_scipy(values):
    expected = hmean(np.maximum(values, metrics.EPSILON))
    assert float(metrics.harmonic_mean(np.array(values))) == pytest.approx(expected, abs=1e-12)


def test_means_leave_nan_out():
    values = np.array([[0.5, np.nan], [1.0, np.nan]])
    np.testing.assert_allclose(metrics.harmonic_mean(values, axis=0), [2 / 3, np.nan])
    np.testing.assert_allclose(metrics.arithmetic_mean(values, axis=0), [0.75, np.nan])
    assert float(metrics.harmonic_mean(values)) == pytest.approx(2 / 3)
    assert math.isnan(metrics.harmonic_mean(np.array([])))
    assert math.isnan(metrics.arithmetic_mean(np.array([])))


def test_separability():
    assert metrics.separability(np.array([0, 0, 1]), np.array([1.0, 2.0, 4.0])) == 2.5


def test_resamples_keep_the_sizes_of_strata():
    strata = np.array([0, 3, 0, 1, 3, 3, 0, 0])
    weights = resample(np.random.default_rng(0), strata, 200)
    assert weights.shape == (8, 200)
    for stratum, size in ((0, 4), (1, 1), (3, 3)):
        assert (weights[strata == stratum].sum(axis=0) == size).all()
    mean = resample(np.random.default_rng(1), np.zeros(10, int), 20000).mean(axis=1)
    np.testing.assert_allclose(mean, 1.0, atol=0.05)


def test_percentile_interval():
    assert percentile_interval(np.arange(1001.0)) == pytest.approx((25.0, 975.0))
