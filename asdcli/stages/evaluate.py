"""`asd evaluate`: score files to official numbers. Imports nothing heavy: it answers in well under a second."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.metrics.comparison import Estimate, comparable, difference, mean_score
from asdcli.challenge.metrics.evaluation import Evaluation, evaluate
from asdcli.errors import UserError
from asdcli.scores.folders import ScoreFolder
from asdcli.stages.truths import given_truth, truth_of
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace


@dataclass(frozen=True)
class Result:
    """One system on one set. family: the folder that its trainings with several seeds share."""

    system: str
    path: Path
    family: Path
    evaluation: Evaluation


@dataclass(frozen=True)
class Standing:
    """A system on one set over all its seeds, and how far it is from the first system on that set.

    difference: None for the first system itself, and where the clips are not the same. partial: whether the score is
    of a part of the files. decisions: precision, recall and F1 by metric name, as the edition's means; none where there
    are no decisions, or not all of them.
    """

    system: str
    set_name: str
    seeds: int
    score: Estimate
    reference: str
    difference: Estimate | None
    partial: bool
    decisions: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """An entry of `comparison` in the document of `asd evaluate --json`."""
        apart = self.difference
        return {
            "system": self.system,
            "set": self.set_name,
            "seeds": self.seeds,
            "score": None if math.isnan(self.score.value) else self.score.value,
            "ci95": self.score.ci95,
            "partial": self.partial,
            "decisions": dict(self.decisions),
            "difference_to": self.reference if apart else None,
            "difference": apart and apart.value,
            "difference_ci95": apart and apart.ci95,
            "beyond_noise": apart and apart.beyond_noise,
        }


def best_of(standings: list[Standing]) -> list[Standing]:
    """The best system on each set that three or more have a whole score of; which it is, test labels tell."""
    whole = [standing for standing in standings if not standing.partial and not math.isnan(standing.score.value)]
    sets = [[one for one in whole if one.set_name == name] for name in dict.fromkeys(one.set_name for one in whole)]
    return [max(some, key=lambda one: one.score.value) for some in sets if len(some) > 2]


def run(
    workspace: Workspace,
    ui: Ui,
    edition: Edition,
    folders: list[ScoreFolder],
    truth_places: Sequence[Path] = (),
    set_name: str = "all",
    bootstrap: int = 1000,
    partial: bool = False,
    machines: Collection[str] = (),
) -> list[Result]:
    """Evaluate every set of every folder whose labels are known: from clip names, or from ground-truth files.

    truth_places: ground truth of the whole set or of parts of it. partial: whether a score of a part of the files is
    wanted where some are missing. machines: those that the folders were narrowed to; none for all.

    Raises UserError when nothing can be evaluated at all.
    """
    results = []
    given = given_truth(truth_places, edition)
    for folder in folders:
        for name in folder.scores:
            if not folder.scores[name] or set_name not in ("all", name):
                continue
            scores = folder.read(name)
            clips = {unit: names for unit, (names, _) in scores.items()}
            truth = truth_of(workspace, edition, name, clips, given)
            if truth is None:
                ui.say(f"{folder.name}: the {name} set is left out, there is no ground truth for it here.")
                continue
            decisions = folder.read_decisions(name)
            evaluation = evaluate(edition, scores, truth, decisions, bootstrap, partial=partial, machines=machines)
            results.append(Result(folder.name, folder.path, folder.family, evaluation))
    if not results:
        raise UserError(
            f"No ground truth of {edition.name} for these scores.",
            f"Name it with --truth DIR, or put it under {workspace.truth(edition.name)}.",
        )
    return results


def standings(results: list[Result]) -> list[Standing]:
    """Systems beside each other, in the order they came; trainings that differ in the seed alone are one system."""
    groups: dict[tuple[str, Path], list[Result]] = {}
    for result in results:
        groups.setdefault((result.evaluation.set_name, result.family), []).append(result)
    first: dict[str, tuple[str, list[Evaluation]]] = {}
    standing = []
    for (set_name, _), members in groups.items():
        name, evaluations = members[0].system, [member.evaluation for member in members]
        reference, others = first.setdefault(set_name, (name, evaluations))
        scored = not any(math.isnan(each.score) for each in (*evaluations, *others))
        compared = others is not evaluations and scored and comparable(evaluations, others)
        apart = difference(evaluations, others) if compared else None
        partial = any(evaluation.partial_score is not None for evaluation in evaluations)
        score, decisions = mean_score(evaluations), _decisions(evaluations)
        standing.append(Standing(name, set_name, len(members), score, reference, apart, partial, decisions))
    return standing


def _decisions(evaluations: list[Evaluation]) -> dict[str, float]:
    """The means over seeds of precision, recall and F1, where every seed has them."""
    means = [evaluation.official_means(evaluation) for evaluation in evaluations]
    names = [name for name in means[0] if name.partition("_")[0] in ("precision", "recall", "f1")]
    values = {name: [own.get(name, math.nan) for own in means] for name in names}
    return {name: sum(each) / len(each) for name, each in values.items() if not any(map(math.isnan, each))}


def rows_of(evaluation: Evaluation) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Machine, section (empty for the machine's mean) and values by metric, in the order of a table."""
    for machine, result in evaluation.machines.items():
        for section, found in result.sections.items():
            yield machine, section, {**found.metrics, "separability": found.separability}
        means = dict(evaluation.official_means(result))
        yield machine, "", {**means, "hmean": result.hmean, "separability": result.separability}
