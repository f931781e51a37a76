"""Our numbers beside printed ones: which of them can be compared, and whether they are of the same data."""

from __future__ import annotations

import math
from collections.abc import Mapping

from asdcli.challenge.editions.counts import clip_count
from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import Unit
from asdcli.challenge.metrics.evaluation import Evaluation, MachineResult


def comparable_means(evaluation: Evaluation, machine: MachineResult) -> Mapping[str, float]:
    """The machine's official means, its separability, and the AUC over both domains (`auc_all`) of a single section."""
    values = {**evaluation.official_means(machine), "separability": machine.separability}
    first, *others = machine.sections.values()
    if not others and "auc_all" in first.metrics:
        values["auc_all"] = first.metrics["auc_all"]
    return {name: value for name, value in values.items() if not math.isnan(value)}


def same_data(edition: Edition, evaluation: Evaluation) -> str:
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
