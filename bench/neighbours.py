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
    rng = np.random.default_rng(0)
    for count in (1_000, 10_000, 100_000, 1_000_000):
        bank = rng.standard_normal((count, SIZE), dtype=np.float32)
        vectors = rng.standard_normal((VECTORS, SIZE))
        detector = Knn(metric="euclidean", neighbours=NEIGHBOURS)
        detector.fit(Bank({"embedding": bank}, np.full(count, "source"), np.full(count, "00")))
        ours = _ms(lambda detector=detector, vectors=vectors: detector.score({"embedding": vectors}))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        others = ["", ""]
        if count <= 100_000:
            exact = bank.astype(np.float64)
            search = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(exact)
            calls = (
                lambda exact=exact, vectors=vectors: np.partition(cdist(vectors, exact), NEIGHBOURS - 1),
                lambda search=search, vectors=vectors: search.kneighbors(vectors),
            )
            others = [f"{_ms(call) / ours:.1f} x" for call in calls]
        print(f"| {count:,} | {ours:.1f} | {others[0]} | {others[1]} | {peak:.0f} |", flush=True)


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
