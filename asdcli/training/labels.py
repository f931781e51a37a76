"""What a classifier tells apart: classes made from the training clips' sections, attributes or domains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from asdcli.audio.clips import ClipTable
from asdcli.errors import UserError

LabelSource = Literal["section", "attributes", "domain"]
UNSEEN = -1


def class_labels(clips: ClipTable, sources: Sequence[LabelSource]) -> tuple[np.ndarray, list[str], LabelSource]:
    """Class numbers of all clips `[clips]`, the class names, and the source they were made from.

    The first source that tells at least two classes of training clips apart is taken; machines are always apart.
    A test clip of a class that no training clip has gets -1. Raises UserError when no source tells two classes apart.
    """
    is_train = clips.split == "train"
    for source in sources:
        keys = np.array([_key(clips, row, source) for row in range(len(clips))])
        names = sorted(set(keys[is_train].tolist()))
        if len(names) > 1:
            number = {name: index for index, name in enumerate(names)}
            return np.array([number.get(key, UNSEEN) for key in keys.tolist()], dtype=np.int64), names, source
    machines = ", ".join(sorted(set(clips.machine.tolist())))
    raise UserError(
        f"{machines}: the training clips are of a single class by {' and '.join(sources)}; nothing to tell apart.",
        "Name another source under labels: in the recipe, or train several machines together (scope: all).",
    )


def _key(clips: ClipTable, row: int, source: LabelSource) -> str:
    if source == "attributes":
        tail = " ".join(f"{name}={value}" for name, value in sorted(clips.attributes[row].items()))
        return f"{clips.machine[row]} {clips.section[row]} {tail}"
    return f"{clips.machine[row]} {getattr(clips, source)[row]}"
