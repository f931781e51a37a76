"""Does a tree hold what its edition should have? Clips are counted by what their names tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asdcli.audio.clips import ClipTable, scan_clips
from asdcli.challenge.editions.counts import Kind, expected, set_of_part, supplemental_clips
from asdcli.challenge.editions.edition import Edition
from asdcli.errors import UserError
from asdcli.workspace.places import Workspace


@dataclass(frozen=True)
class Check:
    """clips: how many were found. exact: whether every number was known beforehand."""

    part: str
    machine: str
    clips: int
    problems: tuple[str, ...]
    exact: bool = False


def check(workspace: Workspace, edition: Edition, part: str, machine: str) -> Check:
    """Compare one machine of a part with the edition's numbers."""
    set_name = set_of_part(part)
    folder = workspace.raw(edition.name, set_name) / machine
    if not folder.is_dir():
        return Check(part, machine, 0, (f"no folder {folder}",))
    try:
        clips, strays = scan_clips(folder.parent, edition, set_name, [machine])
    except UserError as error:
        return Check(part, machine, 0, (str(error),))
    splits = {"dev": ("train", "test", "supplemental"), "train": ("train", "supplemental"), "eval": ("test",)}[part]
    clips = clips.select(np.isin(clips.split, splits))
    problems, exact = [], True
    for section in edition.sections[set_name][machine]:
        for kind, number in expected(edition, part, machine, section).items():
            found = _count(clips, section, kind)
            exact &= number is not None
            if found != number and (number is not None or not found):
                wanted = "some" if number is None else str(number)
                problems.append(f"section {section} {' '.join(filter(None, kind))}: {found} of {wanted}")
        if edition.attributes and part != "eval" and not (folder / f"attributes_{section}.csv").is_file():
            problems.append(f"no attributes_{section}.csv")
    problems += _odd(edition, clips, len([path for path in strays if folder in path.parents]))
    return Check(part, machine, len(clips), tuple(problems), exact)


def _count(clips: ClipTable, section: str, kind: Kind) -> int:
    split, domain, label = kind
    rows = (clips.section == section) & (clips.split == split)
    if domain:
        rows &= clips.domain == domain
    if label:
        rows &= clips.label == ("normal", "anomaly").index(label)
    return int(rows.sum())


def _odd(edition: Edition, clips: ClipTable, strays: int) -> list[str]:
    """Supplemental clips (optional, but all or none) and files of no known name."""
    found, wanted = int((clips.split == "supplemental").sum()), supplemental_clips(edition)
    odd = [f"supplemental: {found} of {wanted}"] if found not in (0, wanted) else []
    return odd + ([f"{strays} files with names of no clip"] if strays else [])
