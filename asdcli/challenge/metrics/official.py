"""The numbers of the official evaluators in plain numpy: AUC, partial AUC, precision, recall, F1, harmonic mean.

Everything about the ROC curve works on clips that are sorted by score and grouped by equal scores, with a weight for
each clip. With all weights 1 it is the plain metric; with the multiplicities of a bootstrap resample it is the metric
of that resample, and the same lines compute one or a thousand of them.
"""

from __future__ import annotations

import sys

import numpy as np

MAX_FPR = 0.1
EPSILON = sys.float_info.epsilon
"""The evaluators' floor under harmonic means and under the denominators of precision, recall and F1."""


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve of `[clips]` labels (0, 1) and scores; equal scores form one step of the curve.

    nan when one class is absent.
    """
    return float(weighted_auc_pauc(labels, scores, np.ones((len(labels), 1)))[0][0])


def pauc(labels: np.ndarray, scores: np.ndarray, max_fpr: float = MAX_FPR) -> float:
    """Area under the ROC curve up to a false-positive rate, standardised (McClish, 1989): 0.5 by chance, 1 at best.

    `0.5 (1 + (a - p^2/2) / (p - p^2/2))`, with the area `a` up to `p = max_fpr` under the curve interpolated at `p`.
    The evaluators of all editions compute this; the mean over the highest normal scores that the papers print is
    `a / p`. nan when one class is absent.
    """
    return float(weighted_auc_pauc(labels, scores, np.ones((len(labels), 1)), max_fpr)[1][0])


def weighted_auc_pauc(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, max_fpr: float = MAX_FPR
) -> tuple[np.ndarray, np.ndarray]:
    """AUC and pAUC, each `[draws]`, of `[clips]` under non-negative weights `[clips, draws]` (clip multiplicities)."""
    order, starts = falling(scores)
    labels, weights = labels[order, None], weights[order]
    anomalous, normal = grouped(weights * (labels == 1), starts), grouped(weights * (labels == 0), starts)
    return roc_area(anomalous, normal), standardised_partial_area(anomalous, normal, max_fpr)


def falling(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order `[clips]` of falling score, and where in it each group of equal scores begins `[groups]`."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    return order, np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)])


def grouped(weights: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Weights `[clips, draws]` in falling order of score, summed over equal scores: `[groups, draws]`."""
    return weights if len(starts) == len(weights) else np.add.reduceat(weights, starts, axis=0)


def roc_area(anomalous: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """AUC `[draws]` of grouped weights `[groups, draws]`: the share of pairs in which the anomalous clip scores higher.

    A tie counts half, which is the trapezoid of the ROC curve. nan when a class has no weight.
    """
    above = np.cumsum(anomalous, axis=0) - 0.5 * anomalous
    return _divide(np.einsum("gd,gd->d", normal, above), anomalous.sum(axis=0) * normal.sum(axis=0))


def standardised_partial_area(anomalous: np.ndarray, normal: np.ndarray, max_fpr: float = MAX_FPR) -> np.ndarray:
    """pAUC `[draws]` (see `pauc`) of grouped weights `[groups, draws]`. nan when a class has no weight."""
    pairs = anomalous.sum(axis=0) * normal.sum(axis=0)
    room = max_fpr * normal.sum(axis=0) - (np.cumsum(normal, axis=0) - normal)
    reached = int(np.count_nonzero(room.max(axis=1, initial=0.0) > 0.0))  # groups that begin below max_fpr in any draw
    anomalous, normal = anomalous[:reached], normal[:reached]
    width = np.clip(room[:reached], 0.0, normal)  # of each segment of the curve, as far as max_fpr
    share = width / np.where(normal > 0, normal, 1.0)
    height = np.cumsum(anomalous, axis=0) - anomalous * (1.0 - 0.5 * share)
    chance = 0.5 * max_fpr**2
    return 0.5 * (1.0 + (_divide(np.einsum("gd,gd->d", width, height), pairs) - chance) / (max_fpr - chance))


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, nan where b is zero."""
    return np.divide(a, b, out=np.full_like(a, np.nan), where=b > 0)


def precision_recall_f1(labels: np.ndarray, decisions: np.ndarray) -> tuple[float, float, float]:
    """Precision, recall and F1 of `[clips]` decisions (0, 1), anomaly positive, zero denominators floored."""
    hits = float(np.sum((labels == 1) & (decisions == 1)))
    precision = hits / max(float(np.sum(decisions == 1)), EPSILON)
    recall = hits / max(float(np.sum(labels == 1)), EPSILON)
    return precision, recall, 2.0 * precision * recall / max(precision + recall, EPSILON)


def harmonic_mean(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Harmonic mean of the values that are not nan, each floored at EPSILON; nan when none is left."""
    values = np.asarray(values, dtype=float)
    known = ~np.isnan(values)
    inverse = np.where(known, 1.0 / np.maximum(np.where(known, values, 1.0), EPSILON), 0.0)
    return _divide(np.asarray(known.sum(axis=axis), dtype=float), np.asarray(inverse.sum(axis=axis)))


def arithmetic_mean(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean of the values that are not nan; nan when none is left."""
    values = np.asarray(values, dtype=float)
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0.0).sum(axis=axis), known.sum(axis=axis)
    return _divide(np.asarray(total), np.asarray(count, dtype=float))


def separability(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean anomalous minus mean normal score, in units of the score; nan when one class is absent.

    Of scores near the largest numbers it may be infinite, or nan.
    """
    anomalous, normal = scores[labels == 1], scores[labels == 0]
    with np.errstate(over="ignore", invalid="ignore"):
        return float(anomalous.mean() - normal.mean()) if len(anomalous) and len(normal) else float("nan")
