"""From scores with known labels to shares, and to what they are worth: each system alone, equal, chosen, held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asdcli.challenge.editions.clipnames import UNKNOWN
from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.truth import DOMAINS, truth_from_names
from asdcli.errors import UserError
from asdcli.recipe.schema import Norm
from asdcli.scores.aligned import align
from asdcli.scores.areas import Trial
from asdcli.scores.folders import ScoreFolder
from asdcli.scores.fuse import whole
from asdcli.scores.search import Table, best, held_out, score_table, simplex, simplex_size
from asdcli.scores.shares import Best, Choice, Grid, Shares
from asdcli.ui import Ui

MAX_POINTS = 1_000_000


@dataclass(frozen=True)
class Worth:
    """Scores on the development set, the official ones (2020: the mean of AUC and pAUC).

    systems: of each system alone; equal: with equal shares; chosen: with the chosen shares. held_out, where labels
    chose them: when each machine has the shares that are best on all other machines; None where there is one machine.
    """

    systems: dict[str, float]
    equal: float
    chosen: float
    held_out: float | None = None


class Labelled:
    """The development set of several systems with its labels: scores of any shares."""

    def __init__(self, edition: Edition, folders: Sequence[ScoreFolder], norm: Norm) -> None:
        self.names = [folder.name for folder in folders]
        self.harmonic = edition.metrics != "per_id"
        test = align(folders, "dev", norm).test
        truth = truth_from_names(edition, "dev", {unit: clips for unit, (clips, _) in test.items()})
        self.trials: dict[str, list[Trial]] = {}
        for unit, (clips, scores) in test.items():
            labels, domains = truth.lookup(unit, clips)
            told = labels != UNKNOWN
            kinds = _kinds(edition, labels[told], domains[told])
            if kinds is not None:
                self.trials.setdefault(unit.machine, []).append(Trial(scores[:, told], kinds))
        if not self.trials:
            raise UserError("No section has both normal and anomalous test clips.")

    def table(self, points: np.ndarray) -> Table:
        return score_table(self.trials, points, self.harmonic)

    def worth(self, shares: Shares, held_out: float | None = None) -> Worth:
        machines = list(self.trials)
        vectors = [whole(shares.vector(self.names, machine)) for machine in machines]
        count = len(self.names)
        table = self.table(np.array([*np.eye(count), np.ones(count), *vectors]))
        *alone, equal = table.official()[: count + 1].tolist()
        chosen = table.at(range(count + 1, count + 1 + len(machines)))
        return Worth(dict(zip(self.names, alone, strict=True)), equal, chosen, held_out)


def weigh(ui: Ui, edition: Edition, folders: Sequence[ScoreFolder], norm: Norm, choice: Choice) -> tuple[Shares, Worth]:
    """The shares of a choice, found where it leaves them to be found, and their worth. Needs labels."""
    labelled = Labelled(edition, folders, norm)
    if isinstance(choice, Grid):
        return _search(ui, labelled, choice)
    if isinstance(choice, Best):
        return _best_systems(labelled, choice)
    shares = choice or equal_shares(labelled.names)
    return shares, labelled.worth(shares)


def equal_shares(names: Sequence[str]) -> Shares:
    return Shares(dict.fromkeys(names, 1.0))


def _search(ui: Ui, labelled: Labelled, grid: Grid) -> tuple[Shares, Worth]:
    size = simplex_size(len(labelled.names), grid.steps)
    if size > MAX_POINTS:
        raise UserError(f"A grid of {len(labelled.names)} systems has {size:,} points in these steps.", "--step 0.25")
    points = simplex(len(labelled.names), grid.steps)
    with ui.progress("Searching weights", total=size, unit="points") as bar:
        table = score_table(labelled.trials, points, labelled.harmonic, bar.show)

    def at(point: int) -> dict[str, float]:
        return dict(zip(labelled.names, (points[point] / grid.steps).tolist(), strict=True))

    own: dict[str, dict[str, float]] = {}
    if grid.per_machine:
        own = {machine: at(best(table.of([machine]).official(), points)) for machine in table.machines}
    shares = Shares(at(best(table.official(), points)), own, oracle=True)
    return shares, labelled.worth(shares, held_out(table, points))


def _best_systems(labelled: Labelled, best: Best) -> tuple[Shares, Worth]:
    """Equal shares for the best systems; of equally good ones the first."""
    alone = labelled.table(np.eye(len(labelled.names)))

    def on(machines: Sequence[str]) -> dict[str, float]:
        order = np.argsort(-alone.of(machines).official(), kind="stable")[: best.count]
        return {labelled.names[number]: 1.0 for number in sorted(order.tolist())}

    machines = alone.machines
    shares = Shares(on(machines), {m: on([m]) for m in machines} if best.per_machine else {}, oracle=True)
    if len(machines) < 2:
        return shares, labelled.worth(shares)
    others = Shares({}, {machine: on([other for other in machines if other != machine]) for machine in machines})
    return shares, labelled.worth(shares, labelled.worth(others).chosen)


def _kinds(edition: Edition, labels: np.ndarray, domains: np.ndarray) -> np.ndarray | None:
    """Kinds of clips (see Trial): the normal clips by domain where they have an AUC each. None if a class is absent."""
    if len(np.unique(labels)) < 2:
        return None
    split = edition.metrics == "all_anomalies" and bool(np.isin(domains, DOMAINS).all())
    group = np.where(domains == "target", 1, 0) if split else np.zeros(len(labels), dtype=int)
    _, kinds = np.unique(np.where(labels == 1, 2, group), return_inverse=True)
    return kinds.astype(np.uint8)
