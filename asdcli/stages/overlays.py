"""The `<machine>.yaml` files beside a recipe: which of them no machine reads, and what of them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asdcli.challenge.editions.edition import edition_names, load_edition
from asdcli.errors import did_you_mean
from asdcli.recipe.loading import Recipe
from asdcli.recipe.schema import Method
from asdcli.ui import Ui
from asdcli.workspace.places import SETS, Workspace

OWN = {"detectors", "threshold", "clusters"}  # what each machine has of its own where all share one network


def warn_of_unread(workspace: Workspace, ui: Ui, recipe: Recipe) -> None:
    """Say which YAML files beside recipe.yaml are of no machine of the data here or of any edition."""
    files = [path for path in sorted(recipe.folder.iterdir()) if _is_overlay(path)]
    known = known_machines(workspace) if files else []
    for path in files:
        if path.stem not in known:
            ui.warn(f"{path} is not used: no machine is called '{path.stem}'.{did_you_mean(path.stem, known)}")
        elif path.suffix != ".yaml":
            ui.warn(f"{path} is not used: what a recipe says of {path.stem} stands in {path.stem}.yaml.")


def _is_overlay(path: Path) -> bool:
    """Whether this is meant to be a machine's file, as far as the name tells."""
    return path.suffix.lower() in (".yaml", ".yml") and path.name != "recipe.yaml" and not path.name.startswith(".")


def warn_of_unknown(workspace: Workspace, ui: Ui, machine: str) -> None:
    """Say that there is no such machine in the data here or in any edition."""
    known = known_machines(workspace)
    if machine not in known:
        ui.warn(f"No machine here or in any edition is called '{machine}'.{did_you_mean(machine, known)}")


def known_machines(workspace: Workspace) -> list[str]:
    """Machines of the data sets under the root and of all editions."""
    raws = [workspace.raw(name, set_name) for name in workspace.editions() for set_name in SETS]
    here = {path.name for raw in raws if raw.is_dir() for path in raw.iterdir() if path.is_dir()}
    editions = [load_edition(name) for name in edition_names()]
    return sorted(here.union(*(names for edition in editions for names in edition.machines.values())))


def running(recipe: Recipe, *, machine: str | None, **chosen: Any) -> tuple[Method, list[str]]:
    """What runs for a machine, and which keys of its file are not used.

    The recipe without the file decides whether all machines share one network, and then what that network is.
    """
    shared = recipe.resolve(machine=None, **chosen)
    if machine is None:
        return shared, []
    own = recipe.resolve(machine=machine, **chosen)
    unused = {"scope"} if shared.scope == "machine" else set(Method.model_fields) - OWN
    changed = [key for key in Method.model_fields if key in unused and getattr(own, key) != getattr(shared, key)]
    return own.model_copy(update={key: getattr(shared, key) for key in changed}), changed


def warn_of_unused(ui: Ui, recipe: Recipe, machine: str, keys: list[str]) -> None:
    """Say which keys of a machine's file are not used, as `running` found them."""
    path = recipe.folder / f"{machine}.yaml"
    if keys == ["scope"]:
        ui.warn(f"{path}: scope is not used: it is for all machines, and stands in recipe.yaml.")
    elif keys:
        verb = "is" if len(keys) == 1 else "are"
        ui.warn(f"{path}: {' and '.join(keys)} {verb} not used: all machines share one network (scope: all).")
