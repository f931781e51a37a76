"""Choices that a command leaves open: the only candidate, or the one used last, and a word about it."""

from __future__ import annotations

from asdcli.challenge.editions.edition import Edition, edition_names, load_edition
from asdcli.errors import UserError, unknown
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace


def choose_edition(workspace: Workspace, ui: Ui, name: str | None) -> Edition:
    """The edition asked for, the only one on disk, or the one used last."""
    on_disk = workspace.editions()
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
