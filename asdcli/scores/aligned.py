"""Scores of several systems side by side: the same clips in the same order, normalised per machine and section."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from asdcli.challenge.editions.scorefiles import Unit
from asdcli.errors import UserError
from asdcli.recipe.schema import Norm
from asdcli.scores.folders import ScoreFolder, Values
from asdcli.scores.normalisation import Normalisation, ranks, z_score

NORMS: tuple[Norm, ...] = get_args(Norm)
BY_TEST_CLIPS = ("test", "test-rank")
BY_RANK = ("rank", "test-rank")
LARGEST = 1e290  # sums of so large scores, and what is computed of them, are still numbers

Group = tuple[str, str]  # machine and section
Normalise = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Aligned:
    """Clip names and normalised scores `[systems, clips]` by unit: of one set, and of its sections' training clips.

    train: units whose training clips every system scored in the same order.
    """

    test: Mapping[Unit, Values]
    train: Mapping[Unit, Values]


def align(folders: Sequence[ScoreFolder], set_name: str, norm: Norm) -> Aligned:
    """Read a set of every folder. Different units or clips, and missing training scores, are errors."""
    scores = _same_clips(folders, set_name)
    trains = [folder.read_train() for folder in folders]
    references = scores if norm in BY_TEST_CLIPS else trains
    normalise = {group: _normalisers(folders, references, norm, group) for group in _groups(scores[0])}
    return Aligned(
        {unit: _stack(folders, unit, scores, normalise) for unit in scores[0]},
        {
            unit: _stack(folders, unit, trains, normalise)
            for unit, (clips, _) in trains[0].items()
            if group_of(unit) in normalise and all(train.get(unit, ([],))[0] == clips for train in trains)
        },
    )


def in_order(clips: Sequence[str], values: Values, folder: ScoreFolder, unit: Unit) -> Values:
    """The same values with the clips in this order. Raises UserError when the clips are others."""
    if values[0] == clips:
        return values
    row = {name: number for number, name in enumerate(values[0])}
    if row.keys() != set(clips):
        odd = sorted(row.keys() ^ set(clips))[0]
        raise UserError(f"{folder.path}: the clips of {unit} are not those of the other systems, for example {odd}.")
    return list(clips), values[1][[row[name] for name in clips]]


def group_of(unit: Unit) -> Group:
    return unit.machine, unit.section


def _groups(units: Iterable[Unit]) -> list[Group]:
    return list(dict.fromkeys(map(group_of, units)))


def _same_clips(folders: Sequence[ScoreFolder], set_name: str) -> list[dict[Unit, Values]]:
    """Every system's scores, with the clips in the order of the first."""
    first, *rest = [folder.read(set_name) for folder in folders]
    aligned = [first]
    for folder, scores in zip(folders[1:], rest, strict=True):
        if scores.keys() != first.keys():
            odd = sorted(scores.keys() ^ first.keys())[0]
            raise UserError(f"{folders[0].path} and {folder.path} do not hold the same files: {odd} is in one only.")
        aligned.append({unit: in_order(first[unit][0], scores[unit], folder, unit) for unit in first})
    return aligned


def _normalisers(
    folders: Sequence[ScoreFolder], references: Sequence[Mapping[Unit, Values]], norm: Norm, group: Group
) -> list[Normalise]:
    """One for each system, from its reference scores of all units of a machine and section."""
    if norm == "none":
        return [Normalisation() for _ in folders]
    pooled = []
    for folder, reference in zip(folders, references, strict=True):
        own = [values for unit, (_, values) in reference.items() if group_of(unit) == group]
        if not own:
            raise UserError(
                f"{folder.path} holds no scores of training clips (train/) of {group[0]} section {group[1]}, which "
                f"--norm {norm} needs.",
                "--norm none, or --norm test (against the rules on evaluation sets)",
            )
        pooled.append(np.concatenate(own))
    if norm in BY_RANK:
        return [ranks(scores, len(pooled[0])) for scores in pooled]
    return [z_score(scores) for scores in pooled]


def _stack(
    folders: Sequence[ScoreFolder],
    unit: Unit,
    systems: Sequence[Mapping[Unit, Values]],
    normalise: Mapping[Group, Sequence[Normalise]],
) -> Values:
    with np.errstate(over="ignore", invalid="ignore"):
        rows = [normal(system[unit][1]) for normal, system in zip(normalise[group_of(unit)], systems, strict=True)]
    for folder, row in zip(folders, rows, strict=True):
        if not (np.abs(row) < LARGEST).all():
            raise UserError(
                f"The scores of {folder.name} for {unit} cannot be fused: after normalisation the largest is "
                f"{np.abs(row).max():g}.",
                "--norm rank takes scores of any size that lie among those of the training clips.",
            )
    return systems[0][unit][0], np.stack(rows)
