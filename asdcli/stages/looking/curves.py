"""`asd plot curves`: the epochs of trainings, finished or still running, from their run logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from asdcli.errors import UserError
from asdcli.stages.selection import Selection
from asdcli.training.runlog import LOG, RunLog


@dataclass(frozen=True)
class Curves:
    """One run. epochs: the records of its log in order, with `phase`, `loss` and whatever else was logged."""

    member: str
    group: str
    epochs: list[dict[str, Any]]

    @property
    def title(self) -> str:
        return f"{self.member} {self.group}"

    @property
    def phase_starts(self) -> dict[str, int]:
        """Number of the first epoch of each phase, counted over the whole run."""
        starts: dict[str, int] = {}
        for number, epoch in enumerate(self.epochs):
            starts.setdefault(epoch["phase"], number)
        return starts

    def values(self, name: str) -> np.ndarray:
        """A logged figure `[epochs]`; nan where it was not logged."""
        return np.array([epoch.get(name, np.nan) for epoch in self.epochs], dtype=np.float64)

    def has(self, name: str) -> bool:
        return any(name in epoch for epoch in self.epochs)


def run(selection: Selection) -> list[Curves]:
    """The curves of every run of the selection that has begun. Raises UserError when none has."""
    workspace, found = selection.workspace, []
    for member in selection.members:
        for group in selection.groups(member):
            family = workspace.runs(selection.label, selection.edition.name, member, group, selection.seed)
            logs = sorted(family.glob(f"*/{LOG}"), key=lambda log: log.stat().st_mtime_ns)
            if len(logs) > 1:
                selection.ui.say(f"{member} {group}: the newest of {len(logs)} runs, {logs[-1].parent}")
            epochs, damaged = RunLog(logs[-1]).records() if logs else ([], 0)
            if damaged:
                selection.ui.warn(f"{logs[-1]}: {damaged} lines are not what was written, and are left out.")
            if epochs:
                found.append(Curves(member, group, epochs))
    if not found:
        raise UserError(
            f"{selection.label} has no training with seed {selection.seed} on {selection.edition.name} yet.",
            f"asd train --recipe {selection.recipe.name}",
        )
    return found
