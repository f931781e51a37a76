"""Weighted sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asdcli.scores.fuse import fuse, weighted_sums, whole

WEIGHT = st.floats(0.01, 100)


def scores(size: int = 5) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, size, elements=st.floats(-1e6, 1e6))


def test_fuse_by_hand() -> None:
    np.testing.assert_allclose(fuse([np.array([1.0, 0.0]), np.array([0.0, 4.0])], [3, 1]), [0.75, 1.0])


@given(st.lists(st.tuples(scores(), WEIGHT), min_size=1, max_size=4), st.floats(0.01, 100))
def test_only_the_ratio_of_weights_counts(systems: list[tuple[np.ndarray, float]], factor: float) -> None:
    parts, shares = [part for part, _ in systems], [share for _, share in systems]
    fused = fuse(parts, shares)
    np.testing.assert_allclose(fuse(parts, [factor * share for share in shares]), fused, rtol=1e-9, atol=1e-6)
    stacked = np.stack(parts)
    assert (stacked.min(0) - 1e-6 <= fused).all()
    assert (fused <= stacked.max(0) + 1e-6).all()


@given(scores(), scores(), WEIGHT)
def test_a_weight_of_zero_leaves_a_system_out(one: np.ndarray, other: np.ndarray, share: float) -> None:
    np.testing.assert_array_equal(fuse([one, other], [share, 0]), one)


@given(scores(), st.lists(WEIGHT, min_size=1, max_size=4))
def test_a_system_fused_with_itself_stays_itself(one: np.ndarray, shares: list[float]) -> None:
    np.testing.assert_allclose(fuse([one] * len(shares), shares), one, rtol=1e-9)


@pytest.mark.parametrize(
    "shares", [[], [0, 0], [-1, 2], [float("nan"), 1], [float("inf"), 1], [1, 1, 1]], ids=lambda shares: str(shares)
)
def test_impossible_weights_are_refused(shares: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        fuse([np.zeros(3), np.ones(3)], shares)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any), st.sampled_from([1, 0.1, 1 / 3, 7.3]))
def test_weights_in_whole_numbers(counts: list[int], factor: float) -> None:
    divisor = math.gcd(*counts)
    np.testing.assert_array_equal(whole([factor * count for count in counts]), np.array(counts) / divisor)


def test_weights_without_a_whole_ratio_stay() -> None:
    np.testing.assert_array_equal(whole([1, math.pi]), [1, math.pi])


def test_whole_scores_tie_however_the_weights_are_written() -> None:
    ranks = [np.array([3.0, 12.0, 0.0]), np.array([9.0, 6.0, 10.0])]  # 3 : 1 or 1 : 3 ... all sums 1 : 3 are 30
    for shares in ([1, 3], [0.1, 0.3], [0.25, 0.75]):
        assert len(set(fuse(ranks, shares).tolist())) == 1


@given(st.integers(1, 8), st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_equal_columns_have_equal_sums_and_one_point_is_like_many(systems: int, clips: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(systems, clips))
    values[:, clips // 2 :] = values[:, :1]
    points = rng.integers(0, 11, (20, systems)).astype(float)
    sums = weighted_sums(values, points)
    assert (sums[:, clips // 2 :] == sums[:, :1]).all()
    assert all((weighted_sums(values, points[[row]])[0] == sums[row]).all() for row in range(len(points)))
    np.testing.assert_allclose(sums, points @ values, rtol=1e-9, atol=1e-12)
