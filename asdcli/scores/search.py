"""The grid search for shares, and the estimate of what chosen shares give on a machine that did not choose."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asdcli.challenge.metrics.official import arithmetic_mean, harmonic_mean
from asdcli.scores.areas import Trial, areas

Trials = Mapping[str, Sequence[Trial]]
"""The trials of each machine; the systems are the same in all of them."""

_BLOCK = 16_000
"""Points times clips that are worked on at once: arrays of this size stay in the cache."""

TIE = 1e-12
"""Objectives that lie as close as this are equally good."""


@dataclass(frozen=True)
class Table:
    """Scores of machines `[machines, points]`: of each the mean over its AUC and pAUC values, `values` in number.

    harmonic: whether means are harmonic (2021 and later) or arithmetic (2020).
    """

    machines: tuple[str, ...]
    scores: np.ndarray
    values: np.ndarray
    harmonic: bool

    def official(self) -> np.ndarray:
        """The score over all machines `[points]`.

        From 2021 on it is the harmonic mean over all values, in which a machine with more sections counts more; the
        mean of AUC and pAUC of 2020 goes by machine.
        """
        if not self.harmonic:
            return self.scores.mean(axis=0)
        return self.values.sum() / (self.values[:, None] / self.scores).sum(axis=0)

    def of(self, machines: Sequence[str]) -> Table:
        rows = [self.machines.index(machine) for machine in machines]
        return Table(tuple(machines), self.scores[rows], self.values[rows], self.harmonic)

    def at(self, points: Sequence[int]) -> float:
        """The score over all machines when each has a point of its own."""
        chosen = self.scores[np.arange(len(points)), points][:, None]
        return float(Table(self.machines, chosen, self.values, self.harmonic).official()[0])


def score_table(
    trials: Trials, points: np.ndarray, harmonic: bool, progress: Callable[[int], None] | None = None
) -> Table:
    """The scores of every machine under each of the shares `[points, systems]`, in one pass and little memory.

    progress: called with the number of points done.
    """
    scores = np.empty((len(trials), len(points)))
    block = max(1, _BLOCK // max(trial.kinds.size for own in trials.values() for trial in own))
    for start in range(0, len(points), block):
        rows = slice(start, start + block)
        shares = points[rows].astype(float)
        for machine, own in enumerate(trials.values()):
            values = np.concatenate([areas(trial, shares) for trial in own])
            scores[machine, rows] = (harmonic_mean if harmonic else arithmetic_mean)(values, axis=0)
        if progress:
            progress(min(start + block, len(points)))
    return Table(tuple(trials), scores, value_counts(trials), harmonic)


def value_counts(trials: Trials) -> np.ndarray:
    """How many AUC and pAUC values each machine has `[machines]`."""
    return np.array([sum(int(trial.kinds.max()) + 1 for trial in own) for own in trials.values()], dtype=float)


class OnGrid:
    """Every point of a grid is tried; the best for any of the machines is then looked up."""

    def __init__(self, trials: Trials, steps: int, harmonic: bool, progress: Callable[[int], None] | None) -> None:
        self.points = simplex(next(iter(trials.values()))[0].scores.shape[0], steps)
        self.table = score_table(trials, self.points, harmonic, progress)

    def best(self, machines: Sequence[str]) -> np.ndarray:
        """The shares `[systems]` with the best score over these machines."""
        return np.array(self.points[best(self.table.of(machines).official(), self.points)])


def held_out(
    machines: Sequence[str], choose: Callable[[Sequence[str]], np.ndarray], score: Callable[[np.ndarray], Table]
) -> float | None:
    """The score when each machine is fused with the shares that are chosen on all others; None for one machine.

    choose: from machines to shares `[systems]`. score: the scores of every machine under shares `[points, systems]`.
    """
    if len(machines) < 2:
        return None
    chosen = [choose([other for other in machines if other != machine]) for machine in machines]
    return score(np.array(chosen)).at(range(len(machines)))


def simplex(systems: int, steps: int) -> np.ndarray:
    """All shares in whole steps that sum to `steps`: int64 `[points, systems]`, in falling lexicographic order."""
    points = np.zeros((1, 0), dtype=np.int64)
    left = np.array([steps])
    for _ in range(systems - 1):
        rows = np.repeat(np.arange(len(points)), left + 1)
        first = np.cumsum(left + 1) - (left + 1)  # where the choices of each row begin
        taken = left[rows] - (np.arange(len(rows)) - first[rows])
        points, left = np.column_stack([points[rows], taken]), left[rows] - taken
    return np.column_stack([points, left])


def simplex_size(systems: int, steps: int) -> int:
    return math.comb(steps + systems - 1, systems - 1)


def best(objective: np.ndarray, points: np.ndarray) -> int:
    """The number of the point with the highest objective `[points]`.

    Among those within 1e-12 of it the most even shares win (the smallest sum of squares), and among these the first.
    """
    good = np.flatnonzero(objective >= objective.max() - TIE)
    return int(good[np.argmin((points[good] ** 2).sum(axis=1))])
