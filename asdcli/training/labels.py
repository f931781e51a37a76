"""What classifiers tell apart: named sets of classes, made from the training clips and kept with the run.

`class` is the set that most methods have: of the sources that the recipe names, the first that tells two classes apart.
`machine` tells machine types apart, and `<machine> <attribute>` the values of one attribute of one machine. A set that
would hold a single class is none. A run keeps its sets (`stages/train.py`): what was learnt is never numbered again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from asdcli.audio.clips import ClipTable
from asdcli.errors import UserError

LabelSource = Literal["section", "attributes", "domain"]
LabelKind = Literal[LabelSource, "machine", "attribute", "example"]
CLASS, MACHINE = "class", "machine"
UNSEEN = -1


@dataclass(frozen=True)
class LabelSet:
    """Classes by number, and what they go by: of clips, or of what was done to an `example`.

    machine, attribute: whose values they are, of `by: attribute` only. told: classes that clips have been given, by the
    clip's path, in the place of what they go by (`training/clusters.py`).
    """

    by: LabelKind
    names: tuple[str, ...]
    machine: str = ""
    attribute: str = ""
    told: Mapping[str, str] = field(default_factory=dict)

    def numbers(self, clips: ClipTable) -> np.ndarray:
        """The class of each clip, `[clips]` int64; -1 where a clip is of none."""
        number = {name: index for index, name in enumerate(self.names)}
        keys = zip(clips.path.tolist(), self._keys(clips), strict=True)
        return np.array([number.get(self.told.get(path, key), UNSEEN) for path, key in keys], dtype=np.int64)

    def is_sound(self) -> bool:
        """Whether every field is of its type."""
        if not isinstance(self.told, dict):
            return False
        texts = (*self.names, self.machine, self.attribute, *self.told, *self.told.values())
        return self.by in get_args(LabelKind) and all(isinstance(text, str) for text in texts)

    def _keys(self, clips: ClipTable) -> list[str]:
        if self.by == "attribute":
            pairs = zip(clips.machine.tolist(), clips.attributes.tolist(), strict=True)
            return [known.get(self.attribute, "") if machine == self.machine else "" for machine, known in pairs]
        if self.by == "machine":
            return list(clips.machine.tolist())
        if self.by == "example":
            return [""] * len(clips)
        return [_key(clips, row, self.by) for row in range(len(clips))]


class LabelSets(dict[str, LabelSet]):
    """Sets by name. Asking for one that is not there raises a UserError.

    no_class: why there is no `class`, if there is none.
    """

    def __init__(self, sets: dict[str, LabelSet], no_class: str = "") -> None:
        super().__init__(sets)
        self._no_class = no_class

    def __missing__(self, name: str) -> LabelSet:
        if name == CLASS and self._no_class:
            raise UserError(
                self._no_class,
                "Name another source under labels: in the recipe, or train several machines together (scope: all).",
            )
        there = ", ".join(self) or "none at all"
        raise UserError(f"The training clips have no labels '{name}' with two classes or more; there are: {there}.")

    def to_json(self) -> dict[str, Any]:
        return {name: asdict(one) for name, one in self.items()}

    @classmethod
    def from_json(cls, document: Any) -> LabelSets:
        """The inverse of `to_json`. Raises ValueError for anything else."""
        try:
            sets = {name: LabelSet(**{**one, "names": tuple(one["names"])}) for name, one in document.items()}
        except (AttributeError, LookupError, TypeError) as error:
            raise ValueError("these are no sets of classes") from error
        if not all(one.is_sound() for one in sets.values()):
            raise ValueError("these are no sets of classes")
        return cls(sets)


def label_sets(clips: ClipTable, sources: Sequence[LabelSource]) -> LabelSets:
    """All sets that the training clips of a table make.

    sources: of `class`, in the order in which they are tried. Machines are always apart.
    """
    train = clips.select(clips.split == "train")
    found = {}
    for source in sources:
        names = sorted({_key(train, row, source) for row in range(len(train))})
        if len(names) > 1:
            found[CLASS] = LabelSet(source, tuple(names))
            break
    machines = sorted(set(train.machine.tolist()))
    if len(machines) > 1:
        found[MACHINE] = LabelSet("machine", tuple(machines))
    for machine in machines:
        known = train.attributes[train.machine == machine].tolist()
        for attribute in dict.fromkeys(name for one in known for name in one):
            values = sorted({one[attribute] for one in known if attribute in one})
            if len(values) > 1:
                found[f"{machine} {attribute}"] = LabelSet("attribute", tuple(values), machine, attribute)
    return LabelSets(
        found,
        f"{', '.join(machines)}: the training clips are of a single class by {' and '.join(sources)}; nothing to tell "
        "apart.",
    )


def _key(clips: ClipTable, row: int, source: LabelSource) -> str:
    if source == "attributes":
        tail = " ".join(f"{name}={value}" for name, value in sorted(clips.attributes[row].items()))
        return f"{clips.machine[row]} {clips.section[row]} {tail}"
    return f"{clips.machine[row]} {getattr(clips, source)[row]}"
