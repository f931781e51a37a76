"""Our numbers beside those a recipe's paper printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.metrics.evaluation import Evaluation
from asdcli.challenge.metrics.published import comparable_means, same_data
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
    """What a system of the recipe is called in results: its ensemble, or the single detector it is made of; of a member
    its only detector.
    """
    if system in recipe.header.members and system not in recipe.header.systems:
        detectors = recipe.resolve(member=system).detectors
        return {f"{system}/{name}" for name in detectors} if len(detectors) == 1 else set()
    weights = recipe.header.systems[system].weights if system in recipe.header.systems else {}
    single = set(weights) if len(weights) == 1 else set()
    return single | {f"ensemble {recipe.name}.{system}", f"ensemble {recipe.name}.{system} (oracle on dev)"}


def _compare(edition: Edition, evaluation: Evaluation, table: Published) -> Comparison:
    rows = []
    for machine, values in table.machines.items():
        found = evaluation.machines.get(machine)
        means = comparable_means(evaluation, found) if found else {}
        rows += [(machine, metric, value, means.get(metric)) for metric, value in values.items()]
    ours = evaluation.official_score
    official = (table.official_score, ours) if table.official_score is not None and ours is not None else None
    return Comparison(
        table.system, table.source, tuple(rows), official, evaluation.ci95, same_data(edition, evaluation)
    )
