"""The grid search for weights, and the estimate of what it gives on a machine that it did not see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asdcli.challenge.metrics.official import arithmetic_mean, harmonic_mean
from asdcli.fusion.areas import Trial, areas
from asdcli.fusion.weights import best

Trials = Mapping[str, Sequence[Trial]]
"""The trials of each machine; the systems are the same in all of them."""

_BLOCK = 16_000
"""Points times clips that are worked on at once: arrays of this size stay in the cache."""


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
    """The scores of every machine under each of the weights `[points, systems]`, in one pass and little memory.

    progress: called with the number of points done.
    """
    scores = np.empty((len(trials), len(points)))
    block = max(1, _BLOCK // max(trial.kinds.size for own in trials.values() for trial in own))
    for start in range(0, len(points), block):
        rows = slice(start, start + block)
        weights = points[rows].astype(float)
        for machine, own in enumerate(trials.values()):
            values = np.concatenate([areas(trial, weights) for trial in own])
            scores[machine, rows] = (harmonic_mean if harmonic else arithmetic_mean)(values, axis=0)
        if progress:
            progress(min(start + block, len(points)))
    counts = [sum(int(trial.kinds.max()) + 1 for trial in own) for own in trials.values()]
    return Table(tuple(trials), scores, np.array(counts, dtype=float), harmonic)


def held_out(table: Table, points: np.ndarray) -> float | None:
    """The score when each machine is fused with the weights that are best on all others; None for one machine."""
    if len(table.machines) < 2:
        return None
    others = [[other for other in table.machines if other != machine] for machine in table.machines]
    return table.at([best(table.of(rest).official(), points) for rest in others])
