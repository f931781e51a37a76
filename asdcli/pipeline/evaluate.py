"""`asd evaluate`: score files to official numbers. Imports nothing heavy: it answers in well under a second."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asdcli.challenge.editions import Edition
from asdcli.challenge.evaluation import Evaluation, evaluate
from asdcli.challenge.truth import Truth, read_truth, truth_from_names
from asdcli.errors import UserError
from asdcli.pipeline.scorefolders import ScoreFolder
from asdcli.ui import Ui
from asdcli.workspace import Workspace


@dataclass(frozen=True)
class Result:
    """One system on one set."""

    system: str
    path: Path
    evaluation: Evaluation


def run(
    workspace: Workspace,
    ui: Ui,
    edition: Edition,
    folders: list[ScoreFolder],
    truth_path: Path | None = None,
    set_name: str = "all",
    bootstrap: int = 1000,
) -> list[Result]:
    """Evaluate every set of every folder whose labels are known: from clip names, or from ground-truth files.

    Raises UserError when nothing can be evaluated at all.
    """
    results = []
    for folder in folders:
        for name in folder.scores:
            if not folder.scores[name] or set_name not in ("all", name):
                continue
            truth = _truth(workspace, edition, folder, name, truth_path)
            if truth is None:
                ui.say(f"{folder.name}: the {name} set is left out, there is no ground truth for it here.")
                continue
            decisions = folder.read_decisions(name)
            evaluation = evaluate(edition, folder.read(name), truth, decisions, bootstrap)
            results.append(Result(folder.name, folder.path, evaluation))
    if not results:
        raise UserError(
            f"No ground truth of {edition.name} for these scores.",
            f"Name it with --truth DIR, or put it under {workspace.truth(edition.name)}.",
        )
    return results


def _truth(
    workspace: Workspace, edition: Edition, folder: ScoreFolder, set_name: str, given: Path | None
) -> Truth | None:
    """Labels of one set: the folder given, else the names where they tell, else the truth under the root."""
    if given is not None:
        return read_truth(given, edition)
    names = {unit: clips for unit, (clips, _) in folder.read(set_name).items()}
    if set_name == "dev":
        return truth_from_names(edition, set_name, names)
    place = workspace.truth(edition.name)
    return read_truth(place, edition) if place.is_dir() else None


def rows_of(evaluation: Evaluation) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Machine, section (empty for the machine's mean) and values by metric, in the order of a table."""
    for machine, result in evaluation.machines.items():
        for section, found in result.sections.items():
            yield machine, section, {**found.metrics, "separability": found.separability}
        means = dict(evaluation.official_means(result))
        yield machine, "", {**means, "hmean": result.hmean, "separability": result.separability}
