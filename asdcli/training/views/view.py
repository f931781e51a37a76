"""Views: what one training example is, cut from the clips and kept on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from asdcli.audio.clips import ClipTable
from asdcli.audio.features import Features


@dataclass(frozen=True)
class Batch:
    """Examples on the device.

    x: `[batch, ...]`; clip: each example's row in the view's clip table, `[batch]`; label: its class, where the view
    has classes; other and rate: class and share of the clip that was mixed in, where the view mixes.
    """

    x: Tensor
    clip: Tensor
    label: Tensor | None = None
    other: Tensor | None = None
    rate: Tensor | None = None


class FeatureData(Protocol):
    """Clips as cached features: one entry per store, in the order of the table; and the class of each clip.

    `labels` and `classes` as `class_labels` makes them, which is an error where there is a single class.
    """

    clips: ClipTable

    @property
    def features(self) -> list[Features]: ...

    @property
    def labels(self) -> np.ndarray: ...

    @property
    def classes(self) -> list[str]: ...


class View(Protocol):
    """Examples on the device. `clip` is each example's row of `clips`, `[examples]` on the CPU."""

    clips: ClipTable
    clip: Tensor
    input_shape: tuple[int, ...]

    def batch(self, examples: Tensor, generator: torch.Generator, among: Tensor | None = None) -> Batch:
        """The examples with these numbers. among: those that may be mixed in, `[examples]`; left out, all."""
        ...

    def clip_examples(self, row: int) -> Tensor: ...


class LabelledView(View, Protocol):
    """A view with classes: `labels` by row of `clips`, `[clips]` on the CPU."""

    labels: Tensor
    classes: int


def class_count(view: View) -> int:
    """How many classes the view tells apart. Raises ValueError for a view without classes."""
    count: int = getattr(view, "classes", 0)
    if not count:
        raise ValueError("the view has no classes to tell apart; frame_windows has them with labelled: true")
    return count
