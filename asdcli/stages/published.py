"""Our numbers beside those a recipe's paper printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asdcli.challenge.editions.counts import clip_count
from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import Unit
from asdcli.challenge.metrics.evaluation import Evaluation, MachineResult
from asdcli.recipe.loading import Recipe
from asdcli.recipe.schema import Published
from asdcli.stages.evaluate import Result


@dataclass(frozen=True)
class Comparison:
    """One published table and our result. rows: machine, metric, published, ours (None where we have none).

    official: published and our official score, where both exist. data: a sentence on whether these are the same data.
    """

    system: str
    source: str
    rows: tuple[tuple[str, str, float, float | None], ...]
    official: tuple[float, float] | None
    ci95: tuple[float, float] | None
    data: str

    def as_dict(self) -> dict[str, Any]:
        rows = [
            {"machine": machine, "metric": metric, "published": published, "ours": ours}
            for machine, metric, published, ours in self.rows
        ]
        return {
            "system": self.system,
            "source": self.source,
            "rows": rows,
            "official": self.official,
            "data": self.data,
        }


def compare(recipe: Recipe, edition: Edition, results: list[Result]) -> list[Comparison]:
    """Every result of the recipe's systems for which the recipe holds a published table."""
    return [
        _compare(edition, result.evaluation, table)
        for result in results
        for table in recipe.header.published
        if table.edition == edition.name
        and table.set == result.evaluation.set_name
        and result.system in _names(recipe, table.system)
    ]


def _names(recipe: Recipe, system: str) -> set[str]:
    """What a system of the recipe is called in results: its ensemble, or the single detector it is made of."""
    weights = recipe.header.systems[system].weights if system in recipe.header.systems else {}
    single = set(weights) if len(weights) == 1 else set()
    return single | {f"ensemble {recipe.name}.{system}", f"ensemble {recipe.name}.{system} (oracle on dev)"}


def _compare(edition: Edition, evaluation: Evaluation, table: Published) -> Comparison:
    rows = []
    for machine, values in table.machines.items():
        found = evaluation.machines.get(machine)
        means = _comparable(evaluation, found) if found else {}
        rows += [(machine, metric, value, means.get(metric)) for metric, value in values.items()]
    ours = evaluation.official_score
    official = (table.official_score, ours) if table.official_score is not None and ours is not None else None
    return Comparison(table.system, table.source, tuple(rows), official, evaluation.ci95, _data(edition, evaluation))


def _comparable(evaluation: Evaluation, machine: MachineResult) -> Mapping[str, float]:
    """The machine's official means, and the AUC over both domains (`auc_all`) where it has a single section."""
    values = dict(evaluation.official_means(machine))
    first, *others = machine.sections.values()
    if not others and "auc_all" in first.metrics:
        values["auc_all"] = first.metrics["auc_all"]
    return values


def _data(edition: Edition, evaluation: Evaluation) -> str:
    """Whether our clips can be those of the paper, as far as names and numbers tell."""
    if evaluation.missing:
        there = sum(len(machine.sections) for machine in evaluation.machines.values())
        return (
            f"Not the same data: {there} sections are scored here, {len(evaluation.missing)} files of the "
            f"{evaluation.set_name} set of {edition.name} are missing."
        )
    sections = {
        Unit(m, key): found for m, result in evaluation.machines.items() for key, found in result.sections.items()
    }
    expected = {unit: clip_count(edition, evaluation.set_name, unit) for unit in sections}
    for unit, found in sections.items():
        if expected[unit] not in (None, found.clips):
            return (
                f"Not the same data: {unit} has {found.clips} test clips here, and {expected[unit]} in {edition.name}."
            )
    known = "" if None not in expected.values() else " How many clips they should hold is not known exactly."
    return (
        f"The same test data, as far as names and numbers tell: all {len(sections)} sections of the "
        f"{evaluation.set_name} set of {edition.name}, {evaluation.clips} clips.{known} "
        "The training data were not compared."
    )
