"""A machine's embeddings, and detectors fitted to the training clips of its sections."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from asdcli.audio.clips import ClipTable, concat
from asdcli.detection.bank import Bank, Embeddings, take
from asdcli.detection.detectors import DETECTORS
from asdcli.detection.domain_wise import DomainWise
from asdcli.detection.thresholds import THRESHOLDS
from asdcli.recipe.components import build
from asdcli.recipe.schema import Detector, Method
from asdcli.stages import embed


@dataclass(frozen=True)
class Embedded:
    """All clips of one machine: table, set of each clip, embeddings."""

    clips: ClipTable
    set_name: np.ndarray
    embeddings: Embeddings

    def take(self, rows: np.ndarray) -> Embeddings:
        return take(self.embeddings, rows)


def load_embedded(folder: Path, sets: list[str]) -> Embedded:
    """The embeddings of some sets, as `asd embed` left them in the folder."""
    tables, arrays = zip(*(embed.load(folder, set_name) for set_name in sets), strict=True)
    joined = {name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]}
    return Embedded(concat(tables), np.repeat(sets, [len(table) for table in tables]), joined)


class FittedSection:
    """A detector that knows the training clips of one section, or of the whole machine where the recipe says so.

    A section without training clips is compared with all of the machine's.

    Args:
        labels: class of each clip `[clips]`, for detectors that ask for it.
    """

    def __init__(
        self, method: Method, detector: Detector, embedded: Embedded, section: str, labels: np.ndarray | None = None
    ) -> None:
        clips, is_train = embedded.clips, embedded.clips.split == "train"
        here = is_train & (clips.section == section)
        self.rows = np.flatnonzero(here if detector.per == "section" and here.any() else is_train)
        label = None if labels is None else labels[self.rows]
        make = partial(build, DETECTORS, "detector", detector)
        self.detector: Any = DomainWise(make) if detector.domain_wise else make()
        self.detector.fit(Bank(embedded.take(self.rows), clips.domain[self.rows], clips.section[self.rows], label))
        self._threshold, self._in_section = method.threshold, here[self.rows]

    @cached_property
    def own(self) -> np.ndarray:
        """Score of each clip of the bank against the others, in the order of `rows`."""
        return np.asarray(self.detector.score_bank())

    @cached_property
    def own_maps(self) -> np.ndarray:
        """Map of each clip of the bank against the others, for detectors that can map."""
        return np.asarray(self.detector.map_bank())

    @cached_property
    def threshold(self) -> float:
        """Above it a clip of the section is called anomalous; from the section's own training clips if it has any."""
        scores = self.own[self._in_section] if self._in_section.any() else self.own
        return float(build(THRESHOLDS, "threshold", self._threshold, scores))
