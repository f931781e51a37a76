"""The systems of a recipe as score folders: its members' detectors, and their ensemble."""

from __future__ import annotations

from pathlib import Path

from asdcli.errors import unknown
from asdcli.pipeline import ensemble, score
from asdcli.pipeline.scorefolders import ScoreFolder, open_score_folder
from asdcli.pipeline.selection import Selection
from asdcli.workspace import Made


def member_folders(selection: Selection) -> list[ScoreFolder]:
    """Score folders of every selected member and detector, brought up to date first."""
    score.run(selection)
    return [
        open_score_folder(
            selection.workspace, selection.ui, score.score_folder(selection, member, detector), selection.edition
        )
        for member in selection.members
        for detector in selection.method(member, None).detectors
    ]


def current_ensemble(selection: Selection) -> ScoreFolder:
    """The recipe's ensemble, brought up to date in the way it was made, or made with the defaults."""
    place = ensemble_folder(selection)
    made = Made(place).read().get("all", {})
    fuse_recipe(selection, None, made.get("normalisation", "train"), None)
    return open_score_folder(selection.workspace, selection.ui, place, selection.edition)


def ensemble_folder(selection: Selection, system: str | None = None) -> Path:
    """Where the fused scores of a recipe on an edition lie; a named system has a folder of its own."""
    name = selection.label if system is None else f"{selection.label}.{system}"
    return selection.workspace.ensemble(name) / selection.edition.name


def fuse_recipe(
    selection: Selection, system: str | None, norm: ensemble.Norm, out: Path | None
) -> tuple[ensemble.Fused, list[ScoreFolder]]:
    """Fuse the recipe's members with equal weights, or as one of its named systems."""
    folders = member_folders(selection)
    weights = {folder.name: 1.0 for folder in folders}
    oracle = False
    if system is not None:
        systems = selection.recipe.header.systems
        if system not in systems:
            raise unknown(f"system of recipe {selection.recipe.name}", system, systems)
        weights, oracle = systems[system].weights, systems[system].oracle
        suffix = f" seed_{selection.seed}" if selection.seed else ""
        weights = {f"{key}{suffix}": value for key, value in weights.items()}
    place = out or ensemble_folder(selection, system)
    with selection.workspace.lock(place):
        fused = ensemble.run(selection.ui, selection.edition, folders, weights, norm, place, oracle)
    return fused, folders
