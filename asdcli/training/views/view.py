"""Views: what one training example is, cut from the clips and kept on the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asdcli.audio.clips import ClipTable
from asdcli.audio.features import Features
from asdcli.errors import UserError
from asdcli.training.labels import CLASS, LabelSet, LabelSets


@dataclass(frozen=True)
class Mix:
    """Who is mixed with whom: an example for each of a batch, `[batch]`, and its share of the sum, `[batch]`; CPU."""

    partner: Tensor
    rate: Tensor


@dataclass(frozen=True)
class Mixed:
    """What was mixed into the examples of a batch.

    clip: row of each one's partner in the view's clip table, `[batch]` on the CPU; labels: the partners' classes, by
    name of the set; rate: their share of the sum, `[batch]`.
    """

    clip: Tensor
    labels: Mapping[str, Tensor]
    rate: Tensor


@dataclass(frozen=True)
class Batch:
    """Examples on the device.

    inputs: by name, `[batch, ...]` each; clip: each example's row in the view's clip table, `[batch]` on the CPU;
    labels: classes by name of the set (`training/labels.py`), `[batch]` each, -1 where a clip is of none.
    """

    inputs: Mapping[str, Tensor]
    clip: Tensor
    labels: Mapping[str, Tensor] = field(default_factory=dict)
    mixed: Mixed | None = None

    @property
    def x(self) -> Tensor:
        """The input, where there is one."""
        (only,) = self.inputs.values()
        return only

    @property
    def label(self) -> Tensor:
        """The labels of the set `class`. Raises TypeError where the view has none."""
        if CLASS not in self.labels:
            raise TypeError("this view has no class labels")
        return self.labels[CLASS]


def parts_of_mixture(batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Both parts of mixed examples, the mixture, and the second part's share. Raises UserError without them."""
    if batch.mixed is None or "first" not in batch.inputs:
        raise UserError(
            "This task compares mixtures with their parts, and the examples are not mixed so.",
            "augment: [{name: mixup, place: features, keep: true}]",
        )
    return batch.inputs["first"], batch.inputs["second"], batch.inputs["mixed"], batch.mixed.rate


class ViewLabels:
    """The classes of a view's clips, by name of the set, on the CPU.

    Args:
        sets: the classes; None for a view whose examples carry no labels.
        numbers: by name of the set, the class of each clip, `[clips]`, -1 where it is of none.
    """

    def __init__(self, sets: LabelSets | None, numbers: Mapping[str, Tensor]) -> None:
        self._sets, self._numbers = sets, numbers

    @classmethod
    def of_clips(cls, sets: LabelSets, clips: ClipTable) -> ViewLabels:
        return cls(sets, {name: torch.from_numpy(one.numbers(clips)) for name, one in sets.items()})

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __getitem__(self, name: str) -> Tensor:
        """The class of each clip, `[clips]`, -1 where it is of none. Raises as `classes` does."""
        self.classes(name)
        return self._numbers[name]

    def classes(self, name: str = CLASS) -> LabelSet:
        """The classes of a set. Raises UserError for a set that the clips do not make, ValueError for such a view."""
        if self._sets is None:
            raise ValueError("the view has no classes to tell apart; frame_windows has them with labelled: true")
        return self._sets[name]

    def of(self, rows: Tensor, device: torch.device) -> dict[str, Tensor]:
        """The labels of some clips, `[rows]` each, on the device."""
        if not self._numbers:
            return {}
        stacked = torch.stack([numbers[rows] for numbers in self._numbers.values()]).to(device)
        return dict(zip(self._numbers, stacked, strict=True))


class FeatureData(Protocol):
    """Clips as cached features: one entry per store, in the order of the table; the classes; the seed of the run."""

    clips: ClipTable
    seed: int

    @property
    def features(self) -> list[Features]: ...

    @property
    def labels(self) -> LabelSets: ...

    def together(self, parts: Iterable[np.ndarray], shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray:
        """The parts end to end, in memory or as a `np.memmap`."""
        ...


class View(Protocol):
    """Examples on the device. `clip` is each example's row of `clips`, `[examples]` on the CPU.

    A view that says `streamed = True` reads its data as they are needed: its batches are made ahead of their use.
    """

    clips: ClipTable
    clip: Tensor
    labels: ViewLabels
    input_shape: tuple[int, ...]

    def batch(self, examples: Tensor, generator: torch.Generator, mix: Mix | None = None) -> Batch:
        """The examples with these numbers. mix: what is mixed into their waveforms, for views that say
        `mixes_waveforms = True`.
        """
        ...

    def clip_examples(self, row: int) -> Tensor: ...


def class_count(view: View, name: str = CLASS) -> int:
    """How many classes a set of the view's labels has. Raises as `ViewLabels.classes` does."""
    return len(view.labels.classes(name).names)
