"""Choices that a command leaves open: the only candidate, or the one used last, and a word about it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from asdcli.challenge.editions.edition import Edition, edition_names, load_edition
from asdcli.errors import UserError, shown, unknown
from asdcli.recipe.loading import Recipe, load_recipe, recipe_names
from asdcli.scores.folders import ScoreFolder, below_root, open_score_folder
from asdcli.stages.departed import without_departed
from asdcli.stages.packed import systems_below
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

WITHOUT_TRAINING = "mean_spectrum"  # the recipe for own data where none was named or used yet


def choose_edition(workspace: Workspace, ui: Ui, name: str | None) -> Edition:
    """The edition asked for, the only one on disk, or the one used last."""
    on_disk = workspace.editions()
    for linked in workspace.linked_editions() if name is None else [name]:
        for set_name, place in workspace.unplugged(linked).items():
            if linked not in on_disk and (name or not on_disk):
                raise UserError(
                    f"{linked} ({set_name}) is linked to {shown(place)}, and that is not there now.",
                    f"Bring the disk back, or link another place: asd download {linked} --link DIR",
                )
            ui.warn(f"{linked} ({set_name}) is linked to {shown(place)}, and that is not there now: left out.")
    if name is None:
        if not on_disk:
            raise UserError(f"There is no data under {workspace.root / 'data'} yet.", "asd download demo")
        last = workspace.last().get("edition", "")
        if len(on_disk) > 1 and last not in on_disk:
            raise UserError(f"There are several data sets here: {', '.join(on_disk)}.", f"--data {on_disk[0]}")
        name = on_disk[0] if len(on_disk) == 1 else last
        ui.say(f"Data: {name} ({'the only one here' if len(on_disk) == 1 else 'used last'})")
    elif name not in on_disk:
        if name not in edition_names():
            raise unknown("data set", name, sorted({*edition_names(), *on_disk}))
        raise UserError(f"{name} is not under {workspace.root / 'data'} yet.", f"asd download {name}")
    return load_edition(name, own=True)


def choose_recipe(
    workspace: Workspace, ui: Ui, edition: Edition, name: str | None, profile: str | None = None
) -> tuple[Recipe, str]:
    """The recipe asked for, the one used last, the only one there is, or on own data WITHOUT_TRAINING; and its profile:
    asked for, last, or full.

    The profile used last comes with the recipe used last alone: a recipe that is named runs in full.
    """
    if name is not None:
        return load_recipe(name), profile or "full"
    known = recipe_names()
    last = workspace.last().get("recipe")
    if last is None and edition.own:
        ui.say(f"Recipe: {WITHOUT_TRAINING} (it trains nothing; for own data where no recipe was named or used before)")
        return load_recipe(WITHOUT_TRAINING), profile or "full"
    if last is None and len(known) > 1:
        raise UserError(f"Which recipe? There are {', '.join(known)}.", "asd recipes, then --recipe NAME")
    name = last or known[0]
    taken = workspace.last().get("profile", "full") if last and profile is None else "full"
    said = name if taken == "full" else f"{name}, profile {taken}"
    ui.say(f"Recipe: {said} ({'used last' if last else 'the only one'})")
    return load_recipe(name), profile or taken


def open_score_folders(
    workspace: Workspace, ui: Ui, paths: list[Path], data: str | None, machines: Collection[str] | None = None
) -> tuple[Edition, list[ScoreFolder]]:
    """Any folders of score files, of all machine types or of some, and the edition they are of.

    What has left the data since asd wrote a folder is left out.
    """
    edition = _edition(workspace, ui, paths, data)
    folders = [
        replace(without_departed(workspace, ui, open_score_folder(workspace, ui, folder, edition), edition), path=known)
        for path in paths
        for folder, known in systems_below(path)
    ]
    folders = told_apart(folders)
    return edition, [folder.only(machines) for folder in folders] if machines else folders


def told_apart(folders: Sequence[ScoreFolder]) -> list[ScoreFolder]:
    """Systems of one name are called by as much of their path as it takes. Raises UserError for one given twice."""
    named = []
    for folder in folders:
        others = [other.path.resolve().parts for other in folders if other is not folder and other.name == folder.name]
        parts = folder.path.resolve().parts
        if parts in others:
            raise UserError(f"{folder.path} is given twice.")
        needed = max((_common_end(parts, other) + 1 for other in others), default=0)
        named.append(replace(folder, name="/".join(parts[-needed:])) if needed else folder)
    return named


def _common_end(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many of the last parts of two paths are the same."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return next((number for number, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _edition(workspace: Workspace, ui: Ui, paths: list[Path], data: str | None) -> Edition:
    """The edition that is named, or that the folders' place under the root tells, or that is chosen by default."""
    if data is not None:
        return load_edition(data, own=workspace.data(data).is_dir())
    for path in paths:
        parts = below_root(workspace, path)
        if len(parts) > 2 and parts[0] in ("scores", "ensembles"):
            return load_edition(parts[2], own=True)
    if not workspace.editions():
        raise UserError("Of which edition are these scores?", "--data dcase2022")
    return choose_edition(workspace, ui, None)
