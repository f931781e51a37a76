"""`asd package-submission`: score folders to a checked submission package, and the check alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import Unit, units
from asdcli.challenge.editions.truth import Truth, read_truth
from asdcli.challenge.metrics.evaluation import meta_results
from asdcli.challenge.submission.checker import Report, check_package
from asdcli.challenge.submission.meta import build_meta
from asdcli.challenge.submission.team import Author, system_labels
from asdcli.challenge.submission.writing import SubmittedSystem, write_package
from asdcli.errors import UserError, shown
from asdcli.scores.folders import ScoreFolder
from asdcli.stages import evaluate as evaluation
from asdcli.stages.selection import Selection
from asdcli.stages.truths import given_truth
from asdcli.ui import Ui
from asdcli.workspace.made import Made
from asdcli.workspace.places import Workspace


@dataclass(frozen=True)
class Facts:
    """What a recipe knows of its system: the sum over its networks of parameters and of multiply-accumulates (of one
    pass over one example; None where the clips decide its length), (name, url) of published weights, and fields of
    `system.description` by their short names.
    """

    total_parameters: int | None = None
    macs: int | None = None
    external_datasets: Sequence[tuple[str, str]] = ()
    description: Mapping[str, str | int | None] | None = None


@dataclass(frozen=True)
class About:
    """What a package says of its systems beside the scores."""

    authors: Sequence[Author]
    name: str
    abbreviation: str
    facts: Facts


@dataclass(frozen=True)
class KnownClips:
    """Names of evaluation clips by unit, and in words where those that are needed come from.

    by_rule: units of the edition of which no names are known here: only form and number of theirs can be checked.
    """

    names: Mapping[Unit, set[str]]
    sources: tuple[str, ...]
    by_rule: tuple[Unit, ...]


def run(
    workspace: Workspace,
    ui: Ui,
    edition: Edition,
    folders: Sequence[ScoreFolder],
    label: str,
    about: About,
    report_pdf: Path | None = None,
    truth_places: Sequence[Path] = (),
) -> tuple[Path, Report, KnownClips]:
    """Write the package of up to four systems and check it. Returns the zip, the checker's report and what it knew.

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
    known = known_clips(workspace, ui, edition, truth_places)
    path = write_package(edition, systems, workspace.submission(label), report_pdf, known.names)
    return path, check_package(path, edition, known.names), known


def check(
    workspace: Workspace, ui: Ui, path: Path, edition: Edition | None, truth_places: Sequence[Path] = ()
) -> tuple[Report, KnownClips | None]:
    """Check any package, and what names of evaluation clips were known; None where not even the edition is."""
    report = check_package(path, edition)
    if report.edition is None:
        return report, None
    known = known_clips(workspace, ui, report.edition, truth_places)
    checked = check_package(path, report.edition, known.names)
    return replace(checked, inferred=report.inferred), known


def known_clips(workspace: Workspace, ui: Ui, edition: Edition, truth_places: Sequence[Path] = ()) -> KnownClips:
    """The evaluation clips of each unit: by the ground truth named, the clips under the root, the truth downloaded."""
    names: dict[Unit, set[str]] = {}
    sources = []
    due = units(edition, "eval")
    raw, downloaded = workspace.raw(edition.name, "eval"), workspace.truth(edition.name)
    given = given_truth(truth_places, edition)
    places = [
        ", ".join(shown(place) for place in truth_places),
        f"the clips in {raw}",
        f"the ground truth in {downloaded}",
    ]
    finders = [
        lambda: _of_truth(given, due) if given else {},
        lambda: _of_tree(raw, edition) if raw.is_dir() else {},
        lambda: _of_truth(read_truth(downloaded, edition), due) if downloaded.is_dir() else {},
    ]
    for place, find in zip(places, finders, strict=True):
        if names and all(unit in names for unit in due):
            break
        try:
            found = {unit: clips for unit, clips in find().items() if unit not in names}
        except UserError as error:
            ui.warn(f"{error} Clip names are not compared with these.")
            continue
        names |= found
        sources += [place] if found else []
    return KnownClips(names, tuple(sources), tuple(unit for unit in due if unit not in names))


def _of_truth(truth: Truth, due: Sequence[Unit]) -> dict[Unit, set[str]]:
    return {unit: set(clips) for unit in due if (clips := truth.of(unit))}


def _of_tree(raw: Path, edition: Edition) -> dict[Unit, set[str]]:
    from asdcli.audio.clips import scan_clips
    from asdcli.audio.units import clip_name, units_of

    clips, _ = scan_clips(raw, edition, "eval")
    clips = clips.select(clips.split == "test")
    return {unit: {clip_name(path) for path in clips.path[rows]} for unit, rows in units_of(edition, clips).items()}


def ensemble_facts(selection: Selection, ensemble: ScoreFolder) -> Facts:
    """What is known of a recipe's ensemble: of the members that count in it, and of no others."""
    from asdcli.download.weights import load_weights
    from asdcli.stages.looking.describe import count_macs, count_parameters, published_weights

    systems = Made(ensemble.path).read()["all"]["weights"]  # of those that have any
    used = {system.partition("/")[0] for system in systems}
    methods = [selection.method(member, None) for member in selection.members if member in used]
    names = dict.fromkeys(name for method in methods for name in published_weights(method))
    weights = [load_weights(name) for name in names]
    description: dict[str, str | int | None] = {"external_data_usage": "pre-trained model"} if weights else {}
    description |= selection.recipe.header.submission
    if len(systems) > 1:
        description |= {"ensemble_method_subsystem_count": len(systems), "decision_making": "average"}
    macs = [count for count in map(count_macs, methods) if count is not None]
    return Facts(
        sum(map(count_parameters, methods)),
        sum(macs) if len(macs) == len(methods) else None,
        [(found.title, found.page) for found in weights],
        description,
    )


def _meta(
    workspace: Workspace, ui: Ui, edition: Edition, folder: ScoreFolder, label: str, about: About
) -> dict[str, Any]:
    return build_meta(
        edition,
        label,
        name=about.name,
        abbreviation=about.abbreviation,
        authors=about.authors,
        **vars(about.facts),
        results=_dev_results(workspace, ui, edition, folder),
    )


def _dev_results(workspace: Workspace, ui: Ui, edition: Edition, folder: ScoreFolder) -> dict[str, dict[str, float]]:
    """Results on the development set in percent, under the edition's keys; empty without development scores."""
    if not folder.scores.get("dev"):
        return {}
    result = evaluation.run(workspace, ui, edition, [folder], set_name="dev", bootstrap=0)[0]
    return meta_results(edition, result.evaluation)
