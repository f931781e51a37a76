"""The coordinate ascent against the grid, what it is invariant to, and that it is the same search every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import make_trial

from asdcli.challenge.editions.edition import load_edition
from asdcli.scores.aligned import Norm
from asdcli.scores.areas import Trial
from asdcli.scores.ascent import Ascent
from asdcli.scores.folders import open_score_folder
from asdcli.scores.search import OnGrid, score_table
from asdcli.scores.weighing import Labelled
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

Trials = dict[str, list[Trial]]


def make_trials(seed: int, systems: int, machines: int = 3, levels: int | None = None) -> Trials:
    rng = np.random.default_rng(seed)
    return {f"machine {number}": [make_trial(rng, systems, (9, 7, 12), levels)] for number in range(machines)}


def height(trials: Trials, point: np.ndarray) -> float:
    return float(score_table(trials, point[None], harmonic=True).official()[0])


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.sampled_from([3, None]))
def test_no_single_move_from_where_it_ends_is_better(seed: int, systems: int, levels: int | None) -> None:
    trials = make_trials(seed, systems, levels=levels)
    found = Ascent(trials, 10, harmonic=True).best(list(trials))
    step = np.lcm.reduce([systems, 10, 2]) // 10
    moves = [a * step * np.eye(systems, dtype=int)[i] for i in range(systems) for a in (1, -1)]
    moves += [first - second for first in moves[::2] for second in moves[::2]]
    ends = [np.maximum(found + move, 0) for move in moves]
    assert max(height(trials, end) for end in ends if end.any()) <= height(trials, found) + 1e-12


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(2, 9))
def test_it_is_never_worse_than_equal_shares_the_best_system_and_the_best_pair(seed: int, systems: int) -> None:
    trials = make_trials(seed, systems)
    ascent = Ascent(trials, 10, harmonic=True)
    single = np.eye(systems)
    starts = [np.ones(systems), *single, *(a + b for a in single for b in single)]
    assert height(trials, ascent.best(list(trials))) >= max(height(trials, start) for start in starts) - 1e-12


@settings(max_examples=10)
@given(st.permutations(range(5)), st.integers(0, 2**32 - 1))
def test_permuted_systems_have_permuted_shares(order: list[int], seed: int) -> None:
    trials = make_trials(seed, 5)
    moved = {m: [Trial(trial.scores[order], trial.kinds) for trial in own] for m, own in trials.items()}
    before, after = (Ascent(each, 10, harmonic=True).best(list(trials)) for each in (trials, moved))
    assert height(moved, after) == pytest.approx(height(trials, before), abs=1e-12)


def test_what_was_tried_for_other_machines_changes_nothing() -> None:
    trials = make_trials(5, 7)
    seen = list(trials)[1:]
    used = Ascent(trials, 10, harmonic=True)
    used.best(list(trials))
    alone = Ascent({machine: trials[machine] for machine in seen}, 10, harmonic=True)
    assert used.best(seen).tolist() == alone.best(seen).tolist()


@pytest.mark.parametrize("steps", [10, 100])
def test_thirty_systems(steps: int) -> None:
    """No grid of these could be tried: 635,745,396 points in steps of 0.1."""
    trials = make_trials(0, 30, machines=2)
    ascent = Ascent(trials, steps, harmonic=True)
    found = ascent.best(list(trials))
    assert found.shape == (30,)
    assert height(trials, found) > max(height(trials, point) for point in (np.ones(30), *np.eye(30))) + 0.05


@pytest.mark.real
@pytest.mark.parametrize(
    "norm", [pytest.param("none", marks=pytest.mark.slow), "test", pytest.param("test-rank", marks=pytest.mark.slow)]
)
def test_on_six_real_systems_it_reaches_the_grid(real_dir: Path, tmp_path: Path, norm: Norm) -> None:
    """The development set of 2022; the ascent may pass between the points of the grid and be better."""
    paths = sorted((real_dir / "scores_dcase2022_dev").iterdir())
    edition = load_edition("dcase2022")
    folders = [open_score_folder(Workspace(tmp_path), Ui(), path, edition) for path in paths]
    trials = Labelled(edition, folders, norm).trials
    grid, ascent = OnGrid(trials, 10, harmonic=True, progress=None), Ascent(trials, 10, harmonic=True)
    everything = list(trials)
    for machines in (everything, *([other for other in everything if other != machine] for machine in everything)):
        seen = {machine: trials[machine] for machine in machines}
        by_grid, by_ascent = (height(seen, search.best(machines)) for search in (grid, ascent))
        print(f"{norm}, {len(machines)} machines: grid {by_grid:.6f}, ascent {by_ascent - by_grid:+.6f}")
        assert by_ascent > by_grid - 1e-12
