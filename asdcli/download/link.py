"""Data in place: linking an existing tree, the demo data, and what lies under the root."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from asdcli.audio.clips import scan_clips
from asdcli.challenge.editions.clipnames import SPLITS
from asdcli.challenge.editions.edition import Edition
from asdcli.errors import UserError, WorkError, shown
from asdcli.ui import Ui
from asdcli.workspace.places import SETS, Workspace, raw_folder


@dataclass(frozen=True)
class MachineData:
    """Clips of one machine in one set, by split and label."""

    set_name: str
    machine: str
    sections: tuple[str, ...]
    train: int
    test_normal: int
    test_anomaly: int
    test_unlabelled: int


def link_tree(workspace: Workspace, edition: Edition, tree: Path, set_name: str | None = None) -> dict[str, Path]:
    """Use an existing tree where it lies: data/<edition>/<set>_data/raw becomes a link to it.

    `tree` holds dev_data/ and eval_data/, or is one of those, or is their raw/. Nothing in it is touched. Returns the
    linked folders by set. Raises UserError when there is no such tree, or when real data stand in the link's place.
    """
    tree = tree.resolve()
    if not tree.is_dir():
        raise UserError(f"There is no folder {tree}.")
    found = {name: raw for name in SETS if (raw := _raw_below(raw_folder(tree, name).parent))}
    if not found and (raw := _raw_below(tree)):
        found = {set_name or _set_by_name(tree): raw}
    if set_name:
        found = {name: raw for name, raw in found.items() if name == set_name}
    if not found:
        raise UserError(
            f"{tree} holds no machine folders with {', '.join(list(SPLITS)[:2])} in them.",
            "--link takes the folder that holds dev_data/ and eval_data/, or one of those, or their raw/.",
        )
    for name, raw in found.items():
        scan_clips(raw, edition, name)  # a tree without a single clip of this edition is refused before it is linked
        _link(workspace.raw(edition.name, name), raw)
    truth = tree / "truth"
    if truth.is_dir():
        _link(workspace.truth(edition.name), truth)
    workspace.remember(edition=edition.name)
    return found


def summary(workspace: Workspace, ui: Ui, edition: Edition) -> list[MachineData]:
    """What lies on disk of an edition, machine by machine."""
    rows = []
    for set_name in workspace.sets(edition.name):
        clips, unmatched = scan_clips(workspace.raw(edition.name, set_name), edition, set_name)
        if unmatched:
            ui.warn(f"{len(unmatched)} files match no name of {edition.name}, for example {shown(unmatched[0])}")
        for machine in dict.fromkeys(clips.machine.tolist()):
            here = clips.select(clips.machine == machine)
            tests = Counter(here.label[here.split == "test"].tolist())
            sections = tuple(sorted(set(here.section.tolist())))
            train = int((here.split == "train").sum())
            rows.append(MachineData(set_name, machine, sections, train, tests[0], tests[1], tests[-1]))
    return rows


def _raw_below(folder: Path) -> Path | None:
    """The folder that holds machine folders: `folder`/raw or `folder` itself."""
    for candidate in (folder / "raw", folder):
        if candidate.is_dir() and any(
            split.name.lower() in SPLITS and split.is_dir()
            for machine in candidate.iterdir()
            if machine.is_dir()
            for split in machine.iterdir()
        ):
            return candidate
    return None


def _set_by_name(tree: Path) -> str:
    """`eval` for a tree inside eval_data/, else `dev`."""
    return next((name for name in SETS if raw_folder(tree, name).parent.name in tree.parts[-2:]), "dev")


def _link(place: Path, target: Path) -> None:
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        if place.resolve() == target:
            return
        raise UserError(f"{place} holds data of its own.", "Move it away, or choose another folder with --root.")
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.symlink(target, place, target_is_directory=True)
    except OSError as error:
        raise WorkError(f"Cannot link {place} to {target}: {error.strerror}.") from error
