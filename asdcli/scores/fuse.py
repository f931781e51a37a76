"""The fusion itself: a weighted mean of several systems' scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LARGEST_WHOLE = 1000


def fuse(scores: Sequence[np.ndarray] | np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Weighted mean of several systems' scores of the same clips: `[clips]` each to `[clips]`.

    The shares are taken relative to their sum, so that (1, 1) and (0.5, 0.5) are the same fusion.
    """
    total = float(sum(shares))
    if not 0 < total < float("inf") or min(shares) < 0:
        raise ValueError(f"weights must be finite and non-negative with a positive sum, not {list(shares)}")
    if len(scores) != len(shares):
        raise ValueError(f"{len(shares)} weights for {len(scores)} systems")
    ratio = whole(shares)
    return weighted_sums(np.ascontiguousarray(scores, dtype=float), ratio[None])[0] / ratio.sum()


def whole(shares: Sequence[float]) -> np.ndarray:
    """The same ratio `[systems]` in whole numbers, where their sum is at most 1000; else the shares as they are.

    Whole multiples of whole scores, such as ranks, are exact sums: clips that should tie do, whether the shares were
    given as 0.1 and 0.3 or as 1 and 3.
    """
    given = np.asarray(shares, dtype=float)
    scaled = np.arange(1, LARGEST_WHOLE + 1)[:, None] * (given / given.sum())
    fits = np.flatnonzero(np.abs(scaled - scaled.round()).max(axis=1) < 1e-9)
    return scaled[fits[0]].round() if len(fits) else given


def weighted_sums(scores: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Scores `[systems, clips]` under each of the shares `[points, systems]`: `[points, clips]`.

    Summed by `einsum`, one system after the other in every column alike, and not by a BLAS product, whose rounding may
    differ between columns: clips with equal scores keep equal sums, and a search sees to the last bit the scores that
    are written later.
    """
    return np.einsum("pk,kc->pc", points, scores)
