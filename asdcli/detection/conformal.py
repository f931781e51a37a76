"""Thresholds that keep a promise: how often a normal clip may be called anomalous, told by scores of normal clips.

Split conformal prediction (Vovk et al. 2005; Angelopoulos & Bates 2021, arXiv:2107.07511). If the n scores and that of
a normal clip to come are exchangeable, the clip's score lies above the k-th smallest of them with probability
(n + 1 - k) / (n + 1) or, where scores are tied, less often. That holds on average over banks. For one bank the rate is
itself random: Beta(n + 1 - k, k) for scores without ties (Vovk 2012).

Leave-one-out scores stand in for those of clips beside the bank. Each is made by a bank that is smaller by one clip, so
that the promise is no theorem for them; `tests/detection/test_conformal.py` counts what is kept, detector by detector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

TINY = 1e-9  # what rounding may take from a count of clips


@dataclass(frozen=True)
class Threshold:
    """Above `value` a clip is called anomalous: the `rank`-th smallest of the scores of `clips` normal clips.

    wanted: the rate of false alarms that was asked for; `promised` may be larger, where the clips are too few for it.
    """

    value: float
    clips: int
    rank: int
    wanted: float

    @property
    def promised(self) -> float:
        """The rate of false alarms, on average over banks like this one."""
        return (self.clips + 1 - self.rank) / (self.clips + 1)

    @property
    def supported(self) -> bool:
        """Whether the clips are enough for the rate that was asked for."""
        return self.clips >= clips_for(self.wanted)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Between what the rate of false alarms of this one bank lies, of Beta(n + 1 - k, k)."""
        from scipy.special import betaincinv

        ends = ((1 - confidence) / 2, (1 + confidence) / 2)
        low, high = (float(betaincinv(self.clips + 1 - self.rank, self.rank, end)) for end in ends)
        return low, high


def clips_for(rate: float) -> int:
    """The fewest normal clips that support a rate of false alarms: 143 for 1 in 144."""
    return max(1, math.ceil(1 / rate - 1 - TINY / rate))


@dataclass(frozen=True)
class Calibration:
    """Scores of normal clips `[clips]` (at least one) that the detector did not learn from."""

    scores: np.ndarray

    @cached_property
    def _sorted(self) -> np.ndarray:
        return np.sort(np.asarray(self.scores, np.float64))

    def threshold(self, rate: float) -> Threshold:
        """The smallest threshold for a rate of false alarms between 0 and 1; the largest score if clips are too few."""
        if not 0 < rate < 1:
            raise ValueError(f"a rate of false alarms lies between 0 and 1, not at {rate}")
        n = len(self._sorted)
        rank = min(n, max(1, math.ceil((n + 1) * (1 - rate) - TINY)))
        return Threshold(float(self._sorted[rank - 1]), n, rank, rate)

    def p_values(self, scores: np.ndarray) -> np.ndarray:
        """How often a normal clip scores so high or higher, `[clips]`: (1 + those that do) / (1 + n)."""
        n = len(self._sorted)
        return np.asarray((1 + n - np.searchsorted(self._sorted, scores, side="left")) / (n + 1))
