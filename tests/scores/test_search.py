"""The grid search against brute force, what it is invariant to, and the leave-one-machine-out estimate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from statistics import harmonic_mean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import by_sklearn, make_trial

from asdcli.scores import search
from asdcli.scores.areas import Trial
from asdcli.scores.search import OnGrid, Table, best, held_out, score_table, simplex, simplex_size

Trials = dict[str, list[Trial]]


def make_trials(seed: int, systems: int = 3, machines: int = 3, levels: int | None = None) -> Trials:
    """Machines with one section, two, ..., of one kind of normal clips, two, ... in turn."""
    rng = np.random.default_rng(seed)
    return {
        f"machine {number}": [
            make_trial(rng, systems, (9, 7, 12)[section % 2 :], levels) for section in range(number + 1)
        ]
        for number in range(machines)
    }


def brute_force(trials: Trials, point: np.ndarray) -> float:
    return harmonic_mean([value for own in trials.values() for trial in own for value in by_sklearn(trial, point)])


@settings(max_examples=8, deadline=None)
@given(st.sampled_from([2, 10, None]), st.integers(0, 2**32 - 1))
def test_the_search_equals_brute_force_with_scikit_learn(levels: int | None, seed: int) -> None:
    trials, points = make_trials(seed, levels=levels), simplex(3, 4)
    table = score_table(trials, points, harmonic=True)
    expected = np.array([brute_force(trials, point) for point in points])
    np.testing.assert_allclose(table.official(), expected, rtol=0, atol=1e-12)
    evenness = (points**2).sum(1)
    good = [n for n in range(len(points)) if expected[n] >= expected.max() - 1e-12]
    assert best(table.official(), points) == min(good, key=lambda n: (evenness[n], n))


def test_without_harmonic_means_machines_count_alike() -> None:
    trials, points = make_trials(1), simplex(3, 2)
    table = score_table(trials, points, harmonic=False)
    machines = [
        [np.mean([value for trial in own for value in by_sklearn(trial, point)]) for point in points]
        for own in trials.values()
    ]
    np.testing.assert_allclose(table.official(), np.mean(machines, axis=0), rtol=0, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(4)), st.sampled_from([2, 6]), st.integers(0, 2**32 - 1))
def test_permuted_systems_have_permuted_weights(order: list[int], levels: int, seed: int) -> None:
    trials, points = make_trials(seed, systems=4, levels=levels), simplex(4, 3)
    moved = {m: [Trial(trial.scores[order], trial.kinds) for trial in own] for m, own in trials.items()}
    before, after = (score_table(t, points, harmonic=True).official() for t in (trials, moved))
    place = {tuple(point): number for number, point in enumerate(points.tolist())}
    np.testing.assert_allclose(
        [after[place[tuple(point[order])]] for point in points], before, rtol=0, atol=1e-13
    )  # the same table in another order
    chosen, other = points[best(before, points)], points[best(after, points)]
    assert (chosen**2).sum() == (other**2).sum()
    evenness = (points**2).sum(1)
    if np.count_nonzero((before >= before.max() - 1e-12) & (evenness == (chosen**2).sum())) == 1:
        assert other.tolist() == chosen[order].tolist()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_system_and_its_copy_share_their_weight_evenly(seed: int) -> None:
    trials, points = make_trials(seed, systems=2, levels=8), simplex(3, 4)
    doubled = {m: [Trial(trial.scores[[0, 1, 1]], trial.kinds) for trial in own] for m, own in trials.items()}
    shares = points[best(score_table(doubled, points, harmonic=True).official(), points)]
    assert abs(shares[1] - shares[2]) <= 1


def by_grid(trials: Trials, steps: int) -> float | None:
    """The held-out score of a grid search."""
    grid = OnGrid(trials, steps, harmonic=True, progress=None)
    return held_out(list(trials), grid.best, lambda points: score_table(trials, points, harmonic=True))


@pytest.mark.parametrize("harmonic", [True, False])
def test_held_out_by_hand(harmonic: bool) -> None:
    scores = np.array([[0.9, 0.5], [0.8, 0.6], [0.5, 0.6]])  # three machines, two points
    table = Table(("a", "b", "c"), scores, np.array([3.0, 3.0, 3.0]), harmonic)
    points = np.array([[2, 1], [1, 2]])
    mean = harmonic_mean if harmonic else np.mean

    def estimate(table: Table) -> float | None:
        def choose(machines: Sequence[str]) -> np.ndarray:
            return np.array(best(table.of(machines).official(), points))

        return held_out(table.machines, choose, lambda chosen: replace(table, scores=table.scores[:, chosen]))

    # a: b and c are best at the first point (0.65 against 0.6; harmonic 0.615 against 0.6); so are a and c, a and b
    assert estimate(table) == pytest.approx(mean([0.9, 0.8, 0.5]))
    swapped = Table(("a", "b"), np.array([[0.9, 0.5], [0.4, 0.6]]), np.array([3.0, 3.0]), harmonic)
    assert estimate(swapped) == pytest.approx(mean([0.5, 0.4]))  # each has what is best on the other


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_held_out_by_brute_force(seed: int) -> None:
    trials, points = make_trials(seed, levels=9), simplex(3, 3)
    values = []
    for machine, own in trials.items():
        rest = {other: trials[other] for other in trials if other != machine}
        point = points[best(score_table(rest, points, harmonic=True).official(), points)]
        values += [value for trial in own for value in by_sklearn(trial, point)]
    assert by_grid(trials, 3) == pytest.approx(harmonic_mean(values), abs=1e-12)


def test_one_machine_has_no_held_out_estimate() -> None:
    assert by_grid(make_trials(0, machines=1), 2) is None


def test_blocks_change_nothing_and_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    trials, points = make_trials(3), simplex(3, 10)
    whole = score_table(trials, points, harmonic=True)
    told: list[int] = []
    monkeypatch.setattr(search, "_BLOCK", 300)
    blocks = score_table(trials, points, harmonic=True, progress=told.append)
    np.testing.assert_array_equal(whole.scores, blocks.scores)
    assert told == sorted(set(told))
    assert told[-1] == len(points)
    assert len(told) > 3


# --- the grid ---------------------------------------------------------------------------------------------------------


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
