"""The `<machine>.yaml` files beside a recipe: which of them no machine reads."""

from __future__ import annotations

from pathlib import Path

from asdcli.challenge.editions.edition import edition_names, load_edition
from asdcli.errors import did_you_mean
from asdcli.recipe.loading import Recipe
from asdcli.ui import Ui
from asdcli.workspace.places import SETS, Workspace


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


def known_machines(workspace: Workspace) -> list[str]:
    """Machines of the data sets under the root and of all editions."""
    raws = [workspace.raw(name, set_name) for name in workspace.editions() for set_name in SETS]
    here = {path.name for raw in raws if raw.is_dir() for path in raw.iterdir() if path.is_dir()}
    editions = [load_edition(name) for name in edition_names()]
    return sorted(here.union(*(names for edition in editions for names in edition.machines.values())))
