"""`asd predict --system`: a fusion that the recipe names, of any sound as `asd ensemble` has it of score files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from asdcli.detection.conformal import Calibration
from asdcli.errors import UserError
from asdcli.recipe.components import Component, build
from asdcli.scores.fuse import fuse
from asdcli.scores.normalisation import z_score
from asdcli.stages.predicting.predict import Listener, Options, predictor_of
from asdcli.stages.selection import Selection

if TYPE_CHECKING:
    import torch


class FusedListener(Listener):
    """Scores sounds by a weighted mean of several listeners' scores, each in deviations of those of its bank's clips.

    It decides by the recipe's rule, applied to the fused scores of the bank's clips; thresholds that were set are of
    one detector, and have no part in it.

    Args:
        name: of the system.
        parts: members' detectors of one machine, with the same training clips, and the share of each.
        rule: makes the threshold.
    """

    def __init__(self, name: str, parts: Sequence[tuple[Listener, float]], rule: Component) -> None:
        first, _ = parts[0]
        self.detector, self._parts, self._rule = name, parts, rule
        self._predictor, self._options = first._predictor, first._options
        self.length, self.hop = first.length, first.hop
        self._thresholds: dict[str, float] = {}

    def scores(self, samples: list[np.ndarray], section: str) -> np.ndarray:
        return self._fused([one.scores(samples, section) for one, _ in self._parts], section)

    def own(self, section: str) -> np.ndarray:
        """Fused scores of the bank's clips of a section, each left out of its bank."""
        return self._fused([one.own(section) for one, _ in self._parts], section)

    def threshold(self, section: str) -> float:
        from asdcli.detection.thresholds import THRESHOLDS

        if section not in self._thresholds:
            self._thresholds[section] = float(build(THRESHOLDS, "threshold", self._rule, self.own(section)))
        return self._thresholds[section]

    def calibration(self, section: str) -> Calibration | None:
        banks = [one._predictor.calibration(one.detector, section) for one, _ in self._parts]
        return None if any(bank is None for bank in banks) else Calibration(self.own(section))

    def _fused(self, scores: list[np.ndarray], section: str) -> np.ndarray:
        listeners, shares = zip(*self._parts, strict=True)
        alike = [z_score(one.own(section))(values) for one, values in zip(listeners, scores, strict=True)]
        return fuse(alike, shares)

    def _peak(self, samples: np.ndarray, section: str) -> None:
        return None  # each member has a place of its own

    def _half(self, samples: np.ndarray, section: str) -> None:
        return None


def fused_listener(selection: Selection, system: str, device: torch.device, options: Options) -> FusedListener:
    """That of a named system of the selection's recipe, for its only machine. Raises UserError for a system that is not
    the mean of given detectors, or whose members are not trained.
    """
    fusion = selection.recipe.system(system)
    if not fusion.weights or fusion.normalisation != "train" or fusion.turned:
        raise UserError(
            f"System {system} is not a mean of given detectors in deviations of training scores, and is not predicted.",
            "--member and --detector choose one of them.",
        )
    chosen = {tuple(key.split("/")): share for key, share in fusion.weights.items() if share > 0}
    if missing := sorted({member for member, _ in chosen} - {*selection.members}):
        raise UserError(
            f"System {system} takes {', '.join(missing)}, which the profile {selection.profile} is without.",
            "Take another --profile, or another --system.",
        )
    parts = []
    for (member, detector), share in chosen.items():
        predictor = predictor_of(replace(selection, members=(member,)))
        parts.append((Listener(predictor, device, replace(options, detector=detector)), share))
    leader, _ = max(parts, key=lambda part: part[1])
    return FusedListener(system, parts, leader.rule)
