"""Nearest neighbours against scipy's distances and scikit-learn's search, as the bank grows.

python bench/neighbours.py

200 vectors against banks of 320 values each, two neighbours, one thread: milliseconds of CPU, and the factor of each
over `knn`.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import resource
import time
from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from asdcli.detection.bank import Bank
from asdcli.detection.detectors.knn import Knn

VECTORS, SIZE, NEIGHBOURS = 200, 320, 2


def main() -> None:
    print("| bank | knn, ms | scipy cdist | scikit-learn, brute | peak MiB so far |\n|---|---|---|---|---|")
    for count in (1_000, 10_000, 100_000, 1_000_000):
        ours, *others = compared(count, others=count <= 100_000)
        told = [f"{other / ours:.1f} x" for other in others] or ["", ""]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {count:,} | {ours:.1f} | {told[0]} | {told[1]} | {peak:.0f} |", flush=True)


def compared(count: int, others: bool = True) -> list[float]:
    """Milliseconds with a bank of so many: ours, scipy's distances, scikit-learn's search."""
    rng = np.random.default_rng(0)
    bank = rng.standard_normal((count, SIZE), dtype=np.float32)
    vectors = rng.standard_normal((VECTORS, SIZE))
    detector = Knn(metric="euclidean", neighbours=NEIGHBOURS)
    detector.fit(Bank({"embedding": bank}, np.full(count, "source"), np.full(count, "00")))
    found = [_ms(lambda: detector.score({"embedding": vectors}))]
    if others:
        exact = bank.astype(np.float64)
        search = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(exact)
        found.append(_ms(lambda: np.partition(cdist(vectors, exact), NEIGHBOURS - 1)))
        found.append(_ms(lambda: search.kneighbors(vectors)))
    return found


def _ms(call: Callable[[], object]) -> float:
    """The least of three."""
    found = []
    for _ in range(3):
        began = time.process_time()
        call()
        found.append(1000 * (time.process_time() - began))
    return min(found)


if __name__ == "__main__":
    main()
