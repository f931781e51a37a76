"""From the scores of normal training clips to the score above which a clip is called anomalous."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

NARROW = 1e-5  # spread over smallest score; below it the fit's equations drown in rounding
MARGIN = 1.0  # where shifted scores start, in spreads; nearer to zero the lowest score alone would bend the fit


def gamma_threshold(scores: np.ndarray, *, quantile: float = 0.9) -> float:
    """The `quantile` of a gamma distribution fitted to the training scores (DCASE baselines 2021-2026: 0.9).

    Scores that a gamma distribution cannot describe, with values of zero and less (normalised scores) or all but equal,
    are shifted above zero first and the threshold shifted back. Constant scores are their own threshold.
    """
    _check(quantile)
    low, spread = float(scores.min()), float(np.ptp(scores))
    if spread == 0:
        return low
    if low > 0 and spread > NARROW * low:
        return _gamma_quantile(scores, quantile)
    return low + spread * (_gamma_quantile((scores - low) / spread + MARGIN, quantile) - MARGIN)


def quantile_threshold(scores: np.ndarray, *, quantile: float = 0.9) -> float:
    """The empirical quantile of the training scores."""
    _check(quantile)
    return float(np.quantile(scores, quantile))


def _gamma_quantile(scores: np.ndarray, quantile: float) -> float:
    from scipy.stats import gamma

    shape, _, scale = gamma.fit(scores, floc=0)
    return float(gamma.ppf(quantile, shape, scale=scale))


def _check(quantile: float) -> None:
    if not 0 < quantile < 1:
        raise ValueError(f"quantile lies between 0 and 1, not at {quantile}")


THRESHOLDS: dict[str, Callable[..., float]] = {"gamma": gamma_threshold, "quantile": quantile_threshold}
