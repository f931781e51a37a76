"""From the scores of normal training clips to the score above which a clip is called anomalous."""

from __future__ import annotations

import numpy as np


def gamma_threshold(scores: np.ndarray, *, quantile: float = 0.9) -> float:
    """The `quantile` of a gamma distribution fitted to the training scores (DCASE baselines 2021-2026: 0.9).

    Scores that a gamma distribution cannot describe, constant or with values of zero and less (cosine distances,
    normalised scores), are shifted to start just above zero first and the threshold shifted back.
    """
    _check(quantile)
    spread = float(np.ptp(scores))
    if spread == 0:
        return float(scores[0])
    from scipy.stats import gamma

    low = float(scores.min())
    shift = 0.0 if low > 0 else 1e-3 * spread - low
    shape, _, scale = gamma.fit(scores + shift, floc=0)
    return float(gamma.ppf(quantile, shape, scale=scale)) - shift


def quantile_threshold(scores: np.ndarray, *, quantile: float = 0.9) -> float:
    """The empirical quantile of the training scores."""
    _check(quantile)
    return float(np.quantile(scores, quantile))


def _check(quantile: float) -> None:
    if not 0 < quantile < 1:
        raise ValueError(f"quantile lies between 0 and 1, not at {quantile}")
