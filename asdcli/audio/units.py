"""Which score file a clip belongs to, and under which name it stands there."""

from __future__ import annotations

import numpy as np

from asdcli.audio.clips import ClipTable
from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import Unit


def units_of(edition: Edition, clips: ClipTable) -> dict[Unit, np.ndarray]:
    """The score files these clips belong to, and the rows of each."""
    domains = clips.domain if edition.metrics == "per_domain" else np.full(len(clips), "")
    keys = sorted(set(zip(clips.machine.tolist(), clips.section.tolist(), domains.tolist(), strict=True)))
    return {
        Unit(*key): np.flatnonzero((clips.machine == key[0]) & (clips.section == key[1]) & (domains == key[2]))
        for key in keys
    }


def clip_name(path: str) -> str:
    """A clip's name in score files: its path below `<machine>/<split>/`."""
    return path.split("/", 2)[2]
