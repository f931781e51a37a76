"""From scores with known labels to shares, and to what they are worth: each system alone, equal, chosen, held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from asdcli.challenge.editions.clipnames import UNKNOWN
from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import units
from asdcli.challenge.editions.truth import DOMAINS, Truth, truth_from_names
from asdcli.challenge.metrics.evaluation import by_truth, missing_units
from asdcli.errors import UserError
from asdcli.recipe.schema import Norm
from asdcli.scores.aligned import align
from asdcli.scores.areas import Trial
from asdcli.scores.ascent import STARTS, Ascent
from asdcli.scores.folders import ScoreFolder
from asdcli.scores.fuse import whole
from asdcli.scores.search import OnGrid, Table, held_out, score_table, simplex_size
from asdcli.scores.shares import Best, Choice, Grid, Shares
from asdcli.ui import Ui

MAX_POINTS = 1_000_000


@dataclass(frozen=True)
class Worth:
    """Scores on a set with labels, the official ones (2020: the mean of AUC and pAUC).

    systems: of each system alone; equal: with equal shares; chosen: with the chosen shares. held_out, where the labels
    chose them: when each machine has the shares that the same choice finds on all other machines; None where there is
    one machine only. search: `grid` or `ascent`, searched: the same in a sentence; both empty without a search.

    machines: how many of how many machine types the scores are of, as far as the set is known in advance; missing,
    unlabelled: files of these that have no scores, or no ground truth. Where any is, the scores are no official ones.
    """

    systems: dict[str, float]
    equal: float
    chosen: float
    held_out: float | None = None
    search: Literal["", "grid", "ascent"] = ""
    searched: str = ""
    machines: Sequence[int] = (0, 0)
    missing: Sequence[str] = ()
    unlabelled: Sequence[str] = ()

    @property
    def partial(self) -> bool:
        return self.machines[0] < self.machines[1] or bool(self.missing or self.unlabelled)


class Labelled:
    """A set of several systems with its labels: scores of any shares. truth: None where the clip names tell."""

    def __init__(
        self,
        edition: Edition,
        folders: Sequence[ScoreFolder],
        norm: Norm,
        set_name: str = "dev",
        truth: Truth | None = None,
    ) -> None:
        self.names = [folder.name for folder in folders]
        self.harmonic = edition.metrics != "per_id"
        test = align(folders, set_name, norm).test
        truth = truth or truth_from_names(edition, set_name, {unit: clips for unit, (clips, _) in test.items()})
        found, known = {unit.machine for unit in test}, {unit.machine for unit in units(edition, set_name)}
        self.machines = len(known & found), len(known)
        self.missing = [str(unit) for unit in missing_units(edition, set_name, test, found)]
        labelled, unlabelled = by_truth(list(test), truth)
        self.unlabelled = [str(unit) for unit in unlabelled]
        self.trials: dict[str, list[Trial]] = {}
        for unit in labelled:
            clips, scores = test[unit]
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
        systems = dict(zip(self.names, alone, strict=True))
        of = self.machines, self.missing, self.unlabelled
        return Worth(systems, equal, chosen, held_out, "", "", *of)


def weigh(
    ui: Ui,
    edition: Edition,
    folders: Sequence[ScoreFolder],
    norm: Norm,
    choice: Choice,
    set_name: str = "dev",
    truth: Truth | None = None,
) -> tuple[Shares, Worth]:
    """The shares of a choice, found where it leaves them to be found, and their worth. Needs labels."""
    labelled = Labelled(edition, folders, norm, set_name, truth)
    if isinstance(choice, Grid):
        return _search(ui, labelled, choice)
    if isinstance(choice, Best):
        return _best_systems(labelled, choice)
    shares = choice or equal_shares(labelled.names)
    return shares, labelled.worth(shares)


def equal_shares(names: Sequence[str]) -> Shares:
    return Shares(dict.fromkeys(names, 1.0))


def _search(ui: Ui, labelled: Labelled, grid: Grid) -> tuple[Shares, Worth]:
    """Every point of the grid, or a coordinate ascent where there are too many."""
    machines, count = list(labelled.trials), len(labelled.names)
    size = simplex_size(count, grid.steps)
    search: OnGrid | Ascent
    if on_grid := size <= MAX_POINTS:
        how = f"Every one of {size:,} weights in steps of {grid.step:g} was tried."
        with ui.progress("Searching weights", total=size, unit="points") as bar:
            search = OnGrid(labelled.trials, grid.steps, labelled.harmonic, bar.show)
    else:
        how = (
            f"A grid of {count} systems in steps of {grid.step:g} has {size:,} points. Instead, coordinate ascent with "
            f"pair moves was started from equal weights, the {STARTS} best systems and the {STARTS} best pairs."
        )
        search = Ascent(labelled.trials, grid.steps, labelled.harmonic)
    searches = 1 + len(machines) * (1 + grid.per_machine)
    with ui.progress("Searching weights", total=searches, unit="searches") as bar:
        done = 0

        def choose(seen: Sequence[str]) -> np.ndarray:
            nonlocal done
            found, done = search.best(seen), done + 1
            bar.show(done)
            return found

        def named(seen: Sequence[str]) -> dict[str, float]:
            point = choose(seen)
            return dict(zip(labelled.names, (point / point.sum()).tolist(), strict=True))

        own = {machine: named([machine]) for machine in machines} if grid.per_machine else {}
        shares = Shares(named(machines), own, oracle=True)
        worth = labelled.worth(shares, held_out(machines, choose, labelled.table))
        return shares, replace(worth, search="grid" if on_grid else "ascent", searched=how)


def _best_systems(labelled: Labelled, best: Best) -> tuple[Shares, Worth]:
    """Equal shares for the best systems, of all machines or of each; of equally good ones the first."""
    alone = labelled.table(np.eye(len(labelled.names)))

    def choose(machines: Sequence[str]) -> np.ndarray:
        order = np.argsort(-alone.of(machines).official(), kind="stable")
        return np.isin(np.arange(len(order)), order[: best.count]).astype(float)

    def named(machines: Sequence[str]) -> dict[str, float]:
        return {name: 1.0 for name, share in zip(labelled.names, choose(machines), strict=True) if share}

    machines = list(labelled.trials)
    shares = Shares(named(machines), {m: named([m]) for m in machines} if best.per_machine else {}, oracle=True)
    return shares, labelled.worth(shares, held_out(machines, choose, labelled.table))


def _kinds(edition: Edition, labels: np.ndarray, domains: np.ndarray) -> np.ndarray | None:
    """Kinds of clips (see Trial): the normal clips by domain where they have an AUC each. None if a class is absent."""
    if len(np.unique(labels)) < 2:
        return None
    split = edition.metrics == "all_anomalies" and bool(np.isin(domains, DOMAINS).all())
    group = np.where(domains == "target", 1, 0) if split else np.zeros(len(labels), dtype=int)
    _, kinds = np.unique(np.where(labels == 1, 2, group), return_inverse=True)
    return kinds.astype(np.uint8)
