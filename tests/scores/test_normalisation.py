"""Z-scores and ranks among reference scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asdcli.challenge.metrics.official import auc
from asdcli.scores.normalisation import Normalisation, ranks, z_score


@given(arrays(np.float64, st.integers(2, 30), elements=st.integers(-1000, 1000).map(float)))
def test_z_score_gives_zero_mean_and_unit_deviation(values: np.ndarray) -> None:
    z = z_score(values)(values)
    assert np.mean(z) == pytest.approx(0, abs=1e-9)
    assert np.std(z) == pytest.approx(1 if np.ptp(values) else 0)


@given(st.floats(-1e9, 1e9), st.integers(1, 40))
def test_constant_scores_are_only_shifted(value: float, count: int) -> None:
    constant = np.full(count, value)
    assert z_score(constant).scale == 1
    np.testing.assert_allclose(ranks(constant, count)(np.array([value, value + 1])), [count / 2, count / 2 + 1])


def test_the_deviation_of_equal_scores_is_not_zero_to_the_last_bit() -> None:
    thirds = np.full(10, 1 / 3)
    assert thirds.std() > 0  # so a comparison with zero would blow 1e-16 up to 1
    assert z_score(thirds)(np.array([1 / 3, 4 / 3])) == pytest.approx([0, 1])


def test_a_normalisation_is_applied_to_other_scores() -> None:
    training = np.array([1.0, 3.0])
    np.testing.assert_allclose(z_score(training)(np.array([2.0, 4.0, 0.0])), [0, 2, -2])
    np.testing.assert_array_equal(Normalisation()(training), training)


def test_ranks_by_hand() -> None:
    rank = ranks(np.array([10.0, 20.0, 20.0, 50.0]), 4)  # middles of ranks: 0.5, 2, 3.5; mean slope 4 / 40
    np.testing.assert_allclose(rank(np.array([10, 20, 50, 15, 35, 60, 0])), [0.5, 2, 3.5, 1.25, 2.75, 4.5, -0.5])


@given(arrays(np.float64, st.integers(1, 40), elements=st.integers(0, 10).map(float)))
def test_scores_among_themselves_have_the_middle_ranks(scores: np.ndarray) -> None:
    below, equal = scores[None] < scores[:, None], scores[None] == scores[:, None]
    np.testing.assert_array_equal(ranks(scores, len(scores))(scores), below.sum(1) + equal.sum(1) / 2)


@given(
    arrays(np.float64, st.integers(1, 20), elements=st.integers(-20, 20).map(float)),
    arrays(np.float64, 12, elements=st.integers(-40, 40).map(lambda number: number / 4)),
)
def test_ranks_keep_the_order_of_one_system(reference: np.ndarray, scores: np.ndarray) -> None:
    labels = np.arange(12) % 2
    assert auc(labels, ranks(reference, 1000)(scores)) == auc(labels, scores)


def test_ranks_of_different_references_have_a_common_size() -> None:
    few, many = ranks(np.arange(10.0), 100), ranks(np.arange(100.0), 100)
    assert few(np.array([4.5]))[0] == pytest.approx(50)
    assert many(np.array([49.5]))[0] == pytest.approx(50)


@pytest.mark.parametrize("exponent", [-1000, -700, 700, 1015])
@pytest.mark.filterwarnings("error")
def test_scores_times_a_power_of_two_have_the_same_z_scores_and_ranks(exponent: int) -> None:
    """Their squares are no numbers: 2**700 is 5e210."""
    reference, scores = (np.random.default_rng(seed).normal(size=20) for seed in (0, 1))
    large_reference, large = np.ldexp(reference, exponent), np.ldexp(scores, exponent)
    assert z_score(large_reference)(large).tolist() == z_score(reference)(scores).tolist()
    assert ranks(large_reference, 20)(large).tolist() == ranks(reference, 20)(scores).tolist()
