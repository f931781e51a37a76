"""Each clip's score against a bank without it: `score_bank` of the detectors against a plain refit for every clip.

OMP_NUM_THREADS=1 python bench/leave_one_out.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from asdcli.detection.bank import Bank, take
from asdcli.detection.detectors import DETECTORS
from asdcli.recipe.components import Component, build

CLIPS, SIZE = 1000, 128
REFITTED = 20  # clips; the time of all is so many times theirs


DETECTORS_OF_BANKS = ("knn", "lof", "cosine", "mahalanobis")


def main() -> None:
    for name in DETECTORS_OF_BANKS:
        quick, slow, apart = compared(name)
        print(f"{name:12} {quick:6.3f} s, refits {slow:6.2f} s: {slow / quick:6.0f} x; apart by {apart:.0e}")


def compared(name: str) -> tuple[float, float, float]:
    """Seconds of ours and of refits, and how far scores are apart, as a share."""
    values = np.random.default_rng(0).standard_normal((CLIPS, SIZE))
    bank = Bank({"embedding": values}, np.full(CLIPS, "source"), np.full(CLIPS, "00"))
    left_out = np.linspace(0, CLIPS - 1, REFITTED).astype(int)
    refit(name, bank, 0)  # imports
    expected, slow = timed(lambda: [refit(name, bank, clip) for clip in left_out])
    scores, quick = timed(lambda: leave_out(name, bank))
    return quick, slow * CLIPS / REFITTED, float(np.abs(scores[left_out] / expected - 1).max())


def leave_out(name: str, bank: Bank) -> np.ndarray:
    detector = build(DETECTORS, "detector", Component(name=name))
    detector.fit(bank)
    return detector.score_bank()


def refit(name: str, bank: Bank, clip: int) -> float:
    detector = build(DETECTORS, "detector", Component(name=name))
    detector.fit(bank.take(np.delete(np.arange(CLIPS), clip)))
    return detector.score(take(bank.embeddings, np.array([clip])))[0]


def timed(work: Callable[[], object]) -> tuple[np.ndarray, float]:
    began = time.perf_counter()
    return np.asarray(work()), time.perf_counter() - began


if __name__ == "__main__":
    main()
