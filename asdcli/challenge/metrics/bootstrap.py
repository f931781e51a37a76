"""The stratified bootstrap: how far a metric might move with another draw of test clips."""

from __future__ import annotations

import numpy as np


def resample(rng: np.random.Generator, strata: np.ndarray, draws: int) -> np.ndarray:
    """Multiplicities `[clips, draws]` (float64) of clips drawn with replacement within each stratum.

    strata: an integer for each clip. Every stratum keeps its size, so that each resample has the classes and domains of
    the test set.
    """
    weights = np.empty((len(strata), draws))
    for stratum in np.unique(strata):
        clips = np.flatnonzero(strata == stratum)
        first = np.arange(0, draws * len(clips), len(clips), dtype=np.int32)[:, None]
        drawn = rng.integers(0, len(clips), size=(draws, len(clips)), dtype=np.int32) + first
        weights[clips] = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).T
    return weights


def percentile_interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """The central interval of bootstrap values `[draws]` that holds `confidence` of them (percentile method)."""
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(values, [tail, 100.0 - tail])
    return float(low), float(high)
