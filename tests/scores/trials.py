"""Random fusions to search, and what scikit-learn says of one of them."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score

from asdcli.scores.areas import Trial
from asdcli.scores.fuse import weighted_sums


def by_sklearn(trial: Trial, point: np.ndarray) -> list[float]:
    """As scikit-learn computes it from the same fused scores, normal clips of each kind against all anomalies."""
    fused = weighted_sums(trial.scores, point[None].astype(float))[0]
    anomaly = trial.kinds.max()
    labels = trial.kinds == anomaly
    chosen = [labels | (trial.kinds == kind) for kind in range(anomaly)]
    values = [roc_auc_score(labels[rows], fused[rows]) for rows in chosen]
    return [*values, roc_auc_score(labels, fused, max_fpr=0.1)]


def make_trial(rng: np.random.Generator, systems: int, counts: tuple[int, ...], levels: int | None) -> Trial:
    """levels: so many different scores, for heavy ties; None for continuous scores."""
    kinds = rng.permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.uint8)
    shape = (systems, len(kinds))
    scores = rng.normal(size=shape) if levels is None else rng.integers(0, levels, shape).astype(float)
    return Trial(scores + 0.4 * (kinds == kinds.max()), kinds)
