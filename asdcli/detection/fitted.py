"""Detectors fitted to the training clips of a section."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from asdcli.detection.bank import Bank
from asdcli.detection.detectors import DETECTORS
from asdcli.detection.domain_wise import DomainWise
from asdcli.detection.oversampled import Oversampled
from asdcli.detection.thresholds import THRESHOLDS
from asdcli.recipe.components import build
from asdcli.recipe.schema import Detector, Method


class FittedSection:
    """A detector that knows the training clips of one section, or of the whole machine where the recipe says so.

    A section without training clips is compared with all of the machine's.

    Args:
        clips: all clips of the machine, test clips included.
        is_train: `[clips]`, which of them the detector may learn from.
    """

    def __init__(self, method: Method, detector: Detector, clips: Bank, is_train: np.ndarray, section: str) -> None:
        here = is_train & (clips.section == section)
        self.rows = np.flatnonzero(here if detector.per == "section" and here.any() else is_train)
        self._make = _maker(detector)
        self._clips = replace(clips, home=section)
        self.detector: Any = self._make()
        self.detector.fit(self._clips.take(self.rows))
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
    def typical(self) -> np.ndarray:
        """Which rows of the bank tell how high the section's normal clips score: its own, or all where it has none."""
        return np.flatnonzero(self._in_section if self._in_section.any() else np.ones_like(self._in_section))

    @cached_property
    def threshold(self) -> float:
        """Above it a clip of the section is called anomalous, by the recipe's rule."""
        return float(build(THRESHOLDS, "threshold", self._threshold, self.own[self.typical]))

    def own_without(self, groups: np.ndarray) -> np.ndarray:
        """Score of each clip of the bank against those of other groups, such as days, in the order of `rows`.

        groups: of all clips of the machine; at least two of them in the bank.
        """
        scores, groups = np.empty(len(self.rows)), groups[self.rows]
        for group in np.unique(groups):
            detector = self._make()
            detector.fit(self._clips.take(self.rows[groups != group]))
            scores[groups == group] = detector.score(self._clips.take(self.rows[groups == group]).embeddings)
        return scores


def _maker(detector: Detector) -> Callable[[], Any]:
    """Makes the detector, unfitted, with what the recipe puts around it."""
    make: Callable[[], Any] = partial(build, DETECTORS, "detector", detector)
    if detector.domain_wise:
        make = partial(DomainWise, make)
    return partial(Oversampled, make, detector.smote) if detector.smote else make
