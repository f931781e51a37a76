"""Our metrics and bootstrap against scikit-learn's roc_auc_score called per section and resample.

python bench/evaluate.py
"""

from __future__ import annotations

import time

import numpy as np
from sklearn.metrics import roc_auc_score

from asdcli.challenge.editions.edition import load_edition
from asdcli.challenge.editions.scorefiles import Unit, units
from asdcli.challenge.editions.truth import truth_from_names
from asdcli.challenge.metrics.evaluation import evaluate

DRAWS = 1000  # of ours; scikit-learn does a few and is scaled up


def main() -> None:
    ours, theirs = compared()
    print(f"21 sections x 200 clips, {DRAWS} resamples")
    print(f"asd          {ours:8.2f} s")
    print(f"scikit-learn {theirs:8.2f} s (from a few resamples)  {theirs / ours:.0f} x asd")


def compared(sampled: int = 5) -> tuple[float, float]:
    """Seconds of ours, and of scikit-learn, told from so many resamples."""
    edition = load_edition("dcase2022")
    rng = np.random.default_rng(0)
    names = [
        f"{domain}_test_{label}_{index:04d}.wav"
        for domain in ("source", "target")
        for label in ("normal", "anomaly")
        for index in range(50)
    ]
    scores = {
        unit: ([f"section_{unit.section}_{name}" for name in names], rng.random(200)) for unit in units(edition, "dev")
    }
    truth = truth_from_names(edition, "dev", {unit: clips for unit, (clips, _) in scores.items()})
    began = time.perf_counter()
    evaluate(edition, scores, truth, bootstrap=DRAWS)
    ours = time.perf_counter() - began
    began = time.perf_counter()
    for _ in range(sampled):
        for unit, (clips, values) in scores.items():
            with_sklearn(unit, clips, values)
    return ours, (time.perf_counter() - began) / sampled * (DRAWS + 1)


def with_sklearn(unit: Unit, clips: list[str], values: np.ndarray) -> None:
    labels = np.array(["anomaly" in name for name in clips])
    for domain in ("source", "target"):
        mask = np.array([domain in name for name in clips]) | labels
        roc_auc_score(labels[mask], values[mask])
    roc_auc_score(labels, values, max_fpr=0.1)


if __name__ == "__main__":
    main()
