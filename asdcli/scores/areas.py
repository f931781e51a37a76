"""AUC and pAUC of many fusions of the same clips at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asdcli.challenge.metrics.official import MAX_FPR
from asdcli.scores.fuse import weighted_sums


@dataclass(frozen=True)
class Trial:
    """The test clips of one score file: scores `[systems, clips]` and a kind `[clips]` (uint8) of each clip.

    The kinds of normal clips are 0, 1, ... with an AUC each (the domains); the highest kind is that of the anomalies.
    All kinds occur.
    """

    scores: np.ndarray
    kinds: np.ndarray


def areas(trial: Trial, points: np.ndarray, max_fpr: float = MAX_FPR) -> np.ndarray:
    """AUC of each kind of normal clips against all anomalies, then the pAUC of all, under each of the shares.

    points: float `[points, systems]`; the result is `[values, points]`. Equal scores count half, as they form one
    step of the ROC curve; the pAUC is standardised (McClish, 1989). Memory grows with points times clips.
    """
    counts = np.bincount(trial.kinds)
    anomaly, room = len(counts) - 1, max_fpr * counts[:-1].sum()
    kinds, ties = _falling(weighted_sums(trial.scores, -points), trial.kinds)
    normal = kinds < anomaly
    above = np.cumsum(~normal, axis=1, dtype=np.int32)
    below = np.arange(1, trial.kinds.size + 1, dtype=np.int32) - above
    if ties.any():
        heights, partial = _curve_with_ties(above, below, normal, ties, room)
    else:
        reached = int(np.count_nonzero((below - normal).min(axis=0) < room))  # by the curve before its end, at most
        first = slice(None), slice(reached)
        heights, partial = above, (normal[first] * above[first]) * np.clip(room + 1 - below[first], 0.0, 1.0)
    sums = [np.einsum("pc,pc->p", heights, kinds == kind) for kind in range(anomaly)]
    chance = 0.5 * max_fpr**2
    area = partial.sum(axis=1) / (counts[anomaly] * counts[:-1].sum())
    values = [total / (counts[kind] * counts[anomaly]) for kind, total in enumerate(sums)]
    return np.array([*values, 0.5 * (1.0 + (area - chance) / (max_fpr - chance))])


def _falling(negative: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kinds `[points, clips]` in falling order of score, and `[points, clips - 1]` where a score equals the next."""
    order = negative.argsort(axis=1)
    rows = np.arange(0, negative.size, len(kinds))[:, None]
    ordered = negative.ravel().take(order + rows)
    return kinds.take(order), ordered[:, 1:] == ordered[:, :-1]


def _curve_with_ties(
    above: np.ndarray, below: np.ndarray, normal: np.ndarray, ties: np.ndarray, room: float
) -> tuple[np.ndarray, np.ndarray]:
    """Height of the ROC curve over each normal clip, and the part of its area up to `room`, each `[points, clips]`.

    above, below: anomalous and normal clips up to each position. Over a group of equal scores the curve is a straight
    line: its middle is the height, and where the group reaches beyond `room` only the first part of the line counts.
    """
    edge = np.ones((len(above), 1), dtype=bool)
    first, last = np.hstack([edge, ~ties]), np.hstack([~ties, edge])
    low, high = _spread(above - ~normal, above, first, last)
    start, end = _spread(below - normal, below, first, last)
    share = np.clip((room - start) / np.maximum(end - start, 1), 0.0, 1.0)
    return 0.5 * (low + high), normal * share * (low + 0.5 * share * (high - low))


def _spread(
    before: np.ndarray, through: np.ndarray, first: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A rising count before the first and through the last of its group, at every position of the group."""
    most = np.iinfo(through.dtype).max
    return (
        np.maximum.accumulate(np.where(first, before, 0), axis=1),
        np.minimum.accumulate(np.where(last, through, most)[:, ::-1], axis=1)[:, ::-1],
    )
