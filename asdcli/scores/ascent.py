"""Coordinate ascent for shares, where a grid has more points than can be tried."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from asdcli.scores.search import TIE, Table, Trials, best, score_table, value_counts

STARTS = 3
"""So many of the best systems, and of the best pairs of systems, are starts beside equal shares."""

LONGEST_PATH = 60
"""So many moves are taken together at most."""


class Ascent:
    """Climbs from several starts by single moves until none helps; what was tried is remembered for all machines.

    A move raises or lowers the share of one system by a step (a coordinate), or, when none of these helps, takes from
    one system what another gets (a pair). Shares count relative to their sum, which may change. Starts are equal
    shares, the best single systems and the best pairs, so that the order of the systems decides nothing but ties.
    Steps much finer than a tenth are reached by halving: small steps alone end on the first small hill. There are two
    systems at least.
    """

    def __init__(self, trials: Trials, steps: int, harmonic: bool) -> None:
        self.trials, self.harmonic = trials, harmonic
        self.systems = next(iter(trials.values()))[0].scores.shape[0]
        self.whole = math.lcm(self.systems, steps, 2)  # of which equal shares, a step and a half are whole numbers
        halvings = max(0, int(math.log2(steps / 10)))
        self.moves = [self.whole // steps * 2**halving for halving in range(halvings, -1, -1)]
        self._tried: dict[bytes, np.ndarray] = {}
        self._values = value_counts(trials)

    def best(self, machines: Sequence[str]) -> np.ndarray:
        """The shares `[systems]` with the best score over these machines that an ascent reached."""
        reached = np.array([self._climb(start, machines) for start in self._starts(machines)])
        return np.array(reached[best(self._objective(reached, machines), reached / reached.sum(axis=1, keepdims=True))])

    def table(self, points: np.ndarray) -> Table:
        """The scores of every machine under whole shares `[points, systems]`, each computed once."""
        keys = [point.tobytes() for point in points]
        new = {key: number for number, key in enumerate(keys) if key not in self._tried}
        if new:
            found = score_table(self.trials, points[list(new.values())], self.harmonic)
            self._tried |= dict(zip(new, found.scores.T, strict=True))
        scores = np.array([self._tried[key] for key in keys]).T
        return Table(tuple(self.trials), scores, self._values, self.harmonic)

    def _objective(self, points: np.ndarray, machines: Sequence[str]) -> np.ndarray:
        return self.table(points).of(machines).official()

    def _starts(self, machines: Sequence[str]) -> list[np.ndarray]:
        single = np.eye(self.systems, dtype=np.int32) * self.whole
        first, second = np.triu_indices(self.systems, k=1)
        pairs = (single[first] + single[second]) // 2
        starts = [np.full(self.systems, self.whole // self.systems, dtype=np.int32)]
        for points in filter(len, (single, pairs)):
            starts += list(points[np.argsort(-self._objective(points, machines), kind="stable")[:STARTS]])
        return starts

    def _climb(self, point: np.ndarray, machines: Sequence[str]) -> np.ndarray:
        height = self._objective(point[None], machines)[0]
        for size in self.moves:
            while (path := self._helpful(point, height, machines, size)) is not None:
                heights = self._objective(path, machines)
                point, height = path[heights.argmax()], heights.max()
        return point

    def _helpful(self, point: np.ndarray, height: float, machines: Sequence[str], size: int) -> np.ndarray | None:
        """The moves of one kind that help, taken one after the other from the best on: `[moves, systems]`."""
        for moves in (_coordinates, _pairs):
            points = _moved(point, moves(point, size))
            heights = self._objective(points, machines)
            order = np.argsort(-heights, kind="stable")
            helpful = order[heights[order] > height + TIE][:LONGEST_PATH]
            if len(helpful):
                return _moved(point, np.cumsum(points[helpful] - point, axis=0, dtype=np.int32))
        return None


def _coordinates(point: np.ndarray, size: int) -> np.ndarray:
    """Moves `[moves, systems]` that change the share of one system."""
    up = np.eye(len(point), dtype=np.int32) * size
    return np.concatenate([up, -up])


def _pairs(point: np.ndarray, size: int) -> np.ndarray:
    """Moves `[moves, systems]` that take from one system what another gets."""
    up = np.eye(len(point), dtype=np.int32) * size
    return np.concatenate([np.delete(up, system, axis=0) - up[system] for system in np.flatnonzero(point)])


def _moved(point: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Where the moves lead from a point, `[points, systems]`: no share is below 0, and not all of them are 0."""
    points = np.maximum(point + moves, 0)
    return points[points.any(axis=1)]
