"""The grid search for fusion shares against scikit-learn's roc_auc_score called per share, section and metric.

OMP_NUM_THREADS=1 python bench/fusion.py
"""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
from sklearn.metrics import roc_auc_score

from asdcli.scores.areas import Trial
from asdcli.scores.search import best, held_out, score_table, simplex

SYSTEMS, STEPS, MACHINES = 7, 10, 7
KINDS = np.repeat([0, 1, 2], [50, 50, 100]).astype(np.uint8)  # a section of 2022: normal source, normal target, anomaly


def main() -> None:
    points = simplex(SYSTEMS, STEPS)
    print(f"{SYSTEMS} systems in steps of {1 / STEPS:g}: {len(points)} points; best of 3 runs")
    for sections in (1, 3):
        compare("continuous scores", make_trials(sections, levels=None), points)
    compare("whole scores, many ties", make_trials(3, levels=100), points)


def make_trials(sections: int, levels: int | None) -> dict[str, list[Trial]]:
    """Machines with so many sections of 200 clips; scores of so many levels, or continuous."""
    rng = np.random.default_rng(0)

    def trial() -> Trial:
        scores = rng.normal(size=(SYSTEMS, len(KINDS))) + 0.7 * (KINDS == 2)
        return Trial(scores if levels is None else np.round(scores * levels / 6), KINDS)

    return {f"machine {number}": [trial() for _ in range(sections)] for number in range(MACHINES)}


def compare(what: str, trials: dict[str, list[Trial]], points: np.ndarray, sampled: int = 10) -> None:
    """Time of the whole search, shares and held-out estimate included, and of scikit-learn on a few of its points."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        table = score_table(trials, points, harmonic=True)
        best(table.official(), points)
        held_out(table, points)
        times.append(time.perf_counter() - began)
    tracemalloc.start()
    score_table(trials, points, harmonic=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    rows = np.random.default_rng(1).choice(len(points), sampled, replace=False)
    began = time.perf_counter()
    expected = [with_sklearn(trials, points[row]) for row in rows]
    theirs = (time.perf_counter() - began) / sampled * len(points)
    off = np.abs(table.official()[rows] - expected).max()
    count = sum(map(len, trials.values()))
    print(f"\n{what}: {count} sections x {len(KINDS)} clips")
    print(f"asd          {min(times):8.2f} s, {peak / 2**20:.1f} MiB at most")
    print(f"scikit-learn {theirs:8.2f} s (from {sampled} points)  {theirs / min(times):.0f} x asd, apart {off:.1e}")


def with_sklearn(trials: dict[str, list[Trial]], point: np.ndarray) -> float:
    values = []
    for own in trials.values():
        for trial in own:
            fused = point.astype(float) @ trial.scores
            labels = trial.kinds == 2
            for kind in (0, 1):
                rows = labels | (trial.kinds == kind)
                values.append(roc_auc_score(labels[rows], fused[rows]))
            values.append(roc_auc_score(labels, fused, max_fpr=0.1))
    return float(1 / np.mean(1 / np.array(values)))


if __name__ == "__main__":
    main()
