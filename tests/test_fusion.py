"""Normalising and fusing scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asdcli.fusion import Normalisation, fuse, z_score

FINITE = st.floats(-1e6, 1e6)
WEIGHT = st.floats(0.01, 100)


def scores(size: int | st.SearchStrategy[int] = 5) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, size, elements=FINITE)


@given(arrays(np.float64, st.integers(2, 30), elements=st.integers(-1000, 1000).map(float)))
def test_z_score_gives_zero_mean_and_unit_deviation(values: np.ndarray) -> None:
    z = z_score(values)(values)
    assert np.mean(z) == pytest.approx(0, abs=1e-9)
    assert np.std(z) == pytest.approx(1 if np.ptp(values) else 0)


@given(st.floats(-1e9, 1e9), st.integers(1, 40))
def test_constant_scores_are_only_shifted(value: float, count: int) -> None:
    assert z_score(np.full(count, value)).scale == 1


def test_the_deviation_of_equal_scores_is_not_zero_to_the_last_bit() -> None:
    thirds = np.full(10, 1 / 3)
    assert thirds.std() > 0  # so a comparison with zero would blow 1e-16 up to 1
    assert z_score(thirds)(np.array([1 / 3, 4 / 3])) == pytest.approx([0, 1])


def test_a_normalisation_is_applied_to_other_scores() -> None:
    training = np.array([1.0, 3.0])
    np.testing.assert_allclose(z_score(training)(np.array([2.0, 4.0, 0.0])), [0, 2, -2])
    np.testing.assert_array_equal(Normalisation()(training), training)


def test_fuse_by_hand() -> None:
    np.testing.assert_allclose(fuse([np.array([1.0, 0.0]), np.array([0.0, 4.0])], [3, 1]), [0.75, 1.0])


@given(st.lists(st.tuples(scores(), WEIGHT), min_size=1, max_size=4), st.floats(0.01, 100))
def test_only_the_ratio_of_weights_counts(systems: list[tuple[np.ndarray, float]], factor: float) -> None:
    parts, weights = [part for part, _ in systems], [weight for _, weight in systems]
    fused = fuse(parts, weights)
    np.testing.assert_allclose(fuse(parts, [factor * weight for weight in weights]), fused, rtol=1e-9, atol=1e-6)
    stacked = np.stack(parts)
    assert (stacked.min(0) - 1e-6 <= fused).all()
    assert (fused <= stacked.max(0) + 1e-6).all()


@given(scores(), scores(), WEIGHT)
def test_a_weight_of_zero_leaves_a_system_out(one: np.ndarray, other: np.ndarray, weight: float) -> None:
    np.testing.assert_array_equal(fuse([one, other], [weight, 0]), one)


@given(scores(), st.lists(WEIGHT, min_size=1, max_size=4))
def test_a_system_fused_with_itself_stays_itself(one: np.ndarray, weights: list[float]) -> None:
    np.testing.assert_allclose(fuse([one] * len(weights), weights), one, rtol=1e-9)


@pytest.mark.parametrize(
    "weights", [[], [0, 0], [-1, 2], [float("nan"), 1], [float("inf"), 1], [1, 1, 1]], ids=lambda weights: str(weights)
)
def test_impossible_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights|shape"):
        fuse([np.zeros(3), np.ones(3)], weights)
