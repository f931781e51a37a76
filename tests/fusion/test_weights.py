"""Weighted sums, the grid over the simplex, and which of equally good points is taken."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asdcli.fusion.weights import best, fuse, simplex, simplex_size, weighted_sums, whole

WEIGHT = st.floats(0.01, 100)


def scores(size: int = 5) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, size, elements=st.floats(-1e6, 1e6))


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
    with pytest.raises(ValueError, match="weights"):
        fuse([np.zeros(3), np.ones(3)], weights)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any), st.sampled_from([1, 0.1, 1 / 3, 7.3]))
def test_weights_in_whole_numbers(counts: list[int], factor: float) -> None:
    divisor = math.gcd(*counts)
    np.testing.assert_array_equal(whole([factor * count for count in counts]), np.array(counts) / divisor)


def test_weights_without_a_whole_ratio_stay() -> None:
    np.testing.assert_array_equal(whole([1, math.pi]), [1, math.pi])


def test_whole_scores_tie_however_the_weights_are_written() -> None:
    ranks = [np.array([3.0, 12.0, 0.0]), np.array([9.0, 6.0, 10.0])]  # 3 : 1 or 1 : 3 ... all sums 1 : 3 are 30
    for weights in ([1, 3], [0.1, 0.3], [0.25, 0.75]):
        assert len(set(fuse(ranks, weights).tolist())) == 1


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


@pytest.mark.parametrize(("systems", "steps"), [(1, 1), (1, 10), (2, 10), (3, 4), (4, 2), (7, 10), (5, 1)])
def test_the_simplex_is_complete(systems: int, steps: int) -> None:
    points = simplex(systems, steps)
    assert len(points) == simplex_size(systems, steps) == math.comb(steps + systems - 1, steps)
    assert (points.sum(1) == steps).all()
    assert (points >= 0).all()
    listed = [tuple(point) for point in points.tolist()]
    assert listed == sorted(set(listed), reverse=True)


def test_the_simplex_by_brute_force() -> None:
    expected = sorted((point for point in product(range(6), repeat=3) if sum(point) == 5), reverse=True)
    assert [tuple(point) for point in simplex(3, 5).tolist()] == expected


def test_of_equally_good_points_the_most_even_is_taken_then_the_first() -> None:
    points = simplex(2, 4)  # 4:0, 3:1, 2:2, 1:3, 0:4
    assert best(np.array([1.0, 1.0 - 1e-13, 1.0, 0.9, 1.0]), points) == 2
    assert best(np.array([0.8, 1.0, 0.9, 1.0 + 1e-13, 0.7]), points) == 1
    assert best(np.array([0.8, 0.9, 0.9, 1.0, 0.7]), points) == 3
