"""`asd package-submission`: score folders to a checked submission package, and the check alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import Unit
from asdcli.challenge.metrics.evaluation import meta_results
from asdcli.challenge.submission.checker import Report, check_package
from asdcli.challenge.submission.meta import build_meta
from asdcli.challenge.submission.team import Author, system_labels
from asdcli.challenge.submission.writing import SubmittedSystem, write_package
from asdcli.errors import UserError
from asdcli.scores.folders import ScoreFolder
from asdcli.stages import evaluate as evaluation
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace


@dataclass(frozen=True)
class About:
    """What a package says of its systems beside the scores."""

    authors: Sequence[Author]
    name: str
    abbreviation: str
    total_parameters: int | None = None
    description: Mapping[str, str | int | None] | None = None


def run(
    workspace: Workspace,
    ui: Ui,
    edition: Edition,
    folders: Sequence[ScoreFolder],
    label: str,
    about: About,
    report_pdf: Path | None = None,
) -> tuple[Path, Report]:
    """Write the package of up to four systems and check it. Returns the zip and the checker's report.

    Raises UserError when a folder has no scores of the evaluation set, or when the package is not valid.
    """
    labels = system_labels(label, len(folders))
    systems = []
    for own_label, folder in zip(labels, folders, strict=True):
        if not folder.scores.get("eval"):
            raise UserError(
                f"{folder.path} holds no scores of the evaluation set of {edition.name}; a package is made of those.",
                f"Bring the evaluation clips under {workspace.raw(edition.name, 'eval')}, then: asd score",
            )
        systems.append(
            SubmittedSystem(
                label=own_label,
                score_files=folder.scores["eval"],
                decision_files=folder.decisions.get("eval", {}),
                meta=_meta(workspace, ui, edition, folder, own_label, about),
            )
        )
    expected = expected_clips(workspace, edition)
    path = write_package(edition, systems, workspace.submission(label), report_pdf, expected)
    return path, check_package(path, edition, expected)


def check(workspace: Workspace, path: Path, edition: Edition | None) -> Report:
    """Check any package; the names of the evaluation clips are compared where the clips are under the root."""
    report = check_package(path, edition)
    expected = expected_clips(workspace, report.edition) if report.edition else None
    return check_package(path, report.edition, expected) if expected else report


def expected_clips(workspace: Workspace, edition: Edition) -> dict[Unit, set[str]] | None:
    """Names of the evaluation test clips on disk by unit; None when the evaluation set is not there."""
    raw = workspace.raw(edition.name, "eval")
    if not raw.is_dir():
        return None
    from asdcli.audio.clips import scan_clips
    from asdcli.audio.units import clip_name, units_of

    clips, _ = scan_clips(raw, edition, "eval")
    clips = clips.select(clips.split == "test")
    return {unit: {clip_name(path) for path in clips.path[rows]} for unit, rows in units_of(edition, clips).items()}


def _meta(
    workspace: Workspace, ui: Ui, edition: Edition, folder: ScoreFolder, label: str, about: About
) -> dict[str, Any]:
    return build_meta(
        edition,
        label,
        name=about.name,
        abbreviation=about.abbreviation,
        authors=about.authors,
        description=about.description,
        total_parameters=about.total_parameters,
        results=_dev_results(workspace, ui, edition, folder),
    )


def _dev_results(workspace: Workspace, ui: Ui, edition: Edition, folder: ScoreFolder) -> dict[str, dict[str, float]]:
    """Results on the development set in percent, under the edition's keys; empty without development scores."""
    if not folder.scores.get("dev"):
        return {}
    result = evaluation.run(workspace, ui, edition, [folder], set_name="dev", bootstrap=0)[0]
    return meta_results(edition, result.evaluation)
