"""Decisions of a fusion: 1 for clips above a threshold of its own, which is that of its systems applied to its scores.

A fusion of one system alone decides as that system does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asdcli.challenge.editions.scorefiles import Unit, read_values
from asdcli.detection.thresholds import THRESHOLDS
from asdcli.recipe.components import Component, build, check
from asdcli.recipe.schema import Norm
from asdcli.scores.aligned import BY_RANK, group_of, in_order
from asdcli.scores.folders import ScoreFolder
from asdcli.scores.fuse import fuse
from asdcli.scores.shares import Shares

Rules = Mapping[tuple[str, str], Component]
"""The rule of a recipe that makes a threshold of training scores, by system and machine. Given folders have none."""

FEW = 20
"""From fewer training clips a quantile of 0.9 lies among their largest two scores: such a threshold is a guess."""

DEFAULT = Component.model_validate({"name": "gamma", "quantile": 0.9})


@dataclass(frozen=True)
class Decider:
    """How a fusion decides. folders: the systems that have a share on any machine."""

    folders: Sequence[ScoreFolder]
    shares: Shares
    rules: Rules
    norm: Norm

    def decide(
        self, set_name: str, unit: Unit, clips: Sequence[str], values: np.ndarray, train: Mapping[Unit, np.ndarray]
    ) -> np.ndarray | None:
        """0 or 1 for fused scores `[clips]`, by those of the section's training clips; None if nothing tells.

        Without training scores the systems' decisions vote.
        """
        if len(self._sharing(unit.machine)) == 1 and (vote := self._vote(set_name, unit, clips)) is not None:
            return vote
        own = [scores for key, scores in train.items() if group_of(key) == group_of(unit)]
        if not own:
            return self._vote(set_name, unit, clips)
        threshold = build(THRESHOLDS, "threshold", self._rule(unit.machine), np.concatenate(own))
        return (values > threshold).astype(int)

    def disagreement(self, machines: Iterable[str]) -> str:
        """Which rule is taken where those of the systems differ, in a sentence; empty where they agree."""
        taken = []
        for machine in machines:
            systems = self._sharing(machine)
            if len({_exact(self.rules.get((name, machine), DEFAULT)) for name in systems}) > 1:
                taken.append(f"that of {_leader(systems)} ({_exact(self._rule(machine))})")
        parts = " and ".join(dict.fromkeys(taken))
        return f"The systems' thresholds differ; the fusion decides by {parts}." if parts else ""

    def _sharing(self, machine: str) -> dict[str, float]:
        """Shares by system, of the systems that have one on this machine."""
        names = [folder.name for folder in self.folders]
        return {name: share for name, share in zip(names, self.shares.vector(names, machine), strict=True) if share > 0}

    def _rule(self, machine: str) -> Component:
        """The rule of the system with the largest share. A gamma distribution does not fit ranks: their quantile."""
        rule = self.rules.get((_leader(self._sharing(machine)), machine), DEFAULT)
        if self.norm in BY_RANK and rule.name == "gamma":
            return Component.model_validate({"name": "quantile", **_params(rule)})
        return rule

    def _vote(self, set_name: str, unit: Unit, clips: Sequence[str]) -> np.ndarray | None:
        """The weighted vote of the systems' decision files; None when one of them has none."""
        sharing, votes = self._sharing(unit.machine), []
        for folder in self.folders:
            if folder.name not in sharing:
                continue
            path = folder.decisions.get(set_name, {}).get(unit)
            if path is None:
                return None
            votes.append(in_order(clips, read_values(path), folder, unit)[1])
        return (fuse(votes, list(sharing.values())) >= 0.5).astype(int)


def few_clips(counts: Mapping[str, int]) -> str:
    """A sentence about thresholds from fewer than 20 training clips; empty without any. counts: clips by section."""
    few = {section: count for section, count in counts.items() if 0 < count < FEW}
    if not few:
        return ""
    section = min(few, key=lambda name: few[name])
    others = f", those of {len(few) - 1} more from fewer than {FEW}" if len(few) > 1 else ""
    return (
        f"The threshold of {section} comes from {few[section]} training clips{others}: what decisions say there is "
        "little more than a guess."
    )


def _leader(sharing: Mapping[str, float]) -> str:
    """The system with the largest share, the first of equals."""
    return max(sharing, key=lambda name: sharing[name])


def _params(rule: Component) -> dict[str, Any]:
    return check(THRESHOLDS, "threshold", rule)


def _exact(rule: Component) -> str:
    """A rule with all its parameters, those left out as well."""
    return ", ".join([rule.name, *(f"{name} {value}" for name, value in sorted(_params(rule).items()))])
