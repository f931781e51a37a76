"""The search for fusion shares: the grid against scikit-learn's roc_auc_score per share, section and metric; then the
ascent for 6 to 44 systems, and for folders of real score files of DCASE 2022 where they are named.

OMP_NUM_THREADS=1 python bench/fusion.py [SCORES_DIR...]
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from asdcli.challenge.editions.edition import load_edition
from asdcli.scores.areas import Trial
from asdcli.scores.ascent import Ascent
from asdcli.scores.folders import open_score_folder
from asdcli.scores.search import OnGrid, held_out, score_table, simplex
from asdcli.scores.weighing import Labelled
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

SYSTEMS, STEPS, MACHINES = 7, 10, 7
KINDS = np.repeat([0, 1, 2], [50, 50, 100]).astype(np.uint8)  # a section of 2022: normal source, normal target, anomaly


def main() -> None:
    points = simplex(SYSTEMS, STEPS)
    print(f"{SYSTEMS} systems in steps of {1 / STEPS:g}: {len(points)} points; best of 3 runs")
    for sections in (1, 3):
        compare("continuous scores", make_trials(sections, levels=None), points)
    compare("whole scores, many ties", make_trials(3, levels=100), points)
    print(
        "\n| systems | search | s | MiB at most | equal | optimum (oracle) | held out |\n|---|---|---|---|---|---|---|"
    )
    for count in (6, 12, 20, 44):
        row(f"{count}, synthetic", make_families(count), grid=count == 6)
    if folders := [Path(name) for name in sys.argv[1:]]:
        edition = load_edition("dcase2022")
        opened = [open_score_folder(Workspace(Path()), Ui(), folder, edition) for folder in folders]
        row(f"{len(folders)}, real", Labelled(edition, opened, "test").trials, grid=len(folders) <= 7)


def row(what: str, trials: dict[str, list[Trial]], grid: bool) -> None:
    """Time and memory of the whole search, the held-out estimate included, and its three numbers."""
    count, machines = len(next(iter(trials.values()))[0].scores), list(trials)
    for kind in ("grid", "ascent")[not grid :]:

        def search(kind: str = kind) -> tuple[float, float | None]:
            chosen = OnGrid(trials, STEPS, True, None) if kind == "grid" else Ascent(trials, STEPS, True)
            best = score_table(trials, chosen.best(machines)[None], True).official()[0]
            return float(best), held_out(machines, chosen.best, lambda points: score_table(trials, points, True))

        began = time.perf_counter()
        optimum, outside = search()
        took = time.perf_counter() - began
        tracemalloc.start()
        search()
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        equal = score_table(trials, np.ones((1, count)), True).official()[0]
        percent = " | ".join(f"{100 * value:.2f}" for value in (equal, optimum, outside or np.nan))
        print(f"| {what} | {kind} | {took:.1f} | {peak:.0f} | {percent} |", flush=True)


def make_families(count: int) -> dict[str, list[Trial]]:
    """Systems in six families that err alike, each of its own skill on each of 7 machines with 3 sections."""
    rng = np.random.default_rng(0)
    family = rng.integers(0, 6, count)
    trials: dict[str, list[Trial]] = {}
    for machine in range(MACHINES):
        skill = rng.normal(0.5, 0.4, count)
        for _ in range(3):
            shared, own = rng.normal(size=(6, len(KINDS))), rng.normal(size=(count, len(KINDS)))
            scores = 0.7 * shared[family] + 0.7 * own + skill[:, None] * (KINDS == 2)
            trials.setdefault(f"machine {machine}", []).append(Trial(scores, KINDS))
    return trials


def make_trials(sections: int, levels: int | None) -> dict[str, list[Trial]]:
    """Machines with so many sections of 200 clips; scores of so many levels, or continuous."""
    rng = np.random.default_rng(0)

    def trial() -> Trial:
        scores = rng.normal(size=(SYSTEMS, len(KINDS))) + 0.7 * (KINDS == 2)
        return Trial(scores if levels is None else np.round(scores * levels / 6), KINDS)

    return {f"machine {number}": [trial() for _ in range(sections)] for number in range(MACHINES)}


def compare(what: str, trials: dict[str, list[Trial]], points: np.ndarray) -> None:
    """Time and memory of the whole search, and time of scikit-learn."""
    ours, theirs, off = compared(trials, points)
    tracemalloc.start()
    score_table(trials, points, harmonic=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    count = sum(map(len, trials.values()))
    print(f"\n{what}: {count} sections x {len(KINDS)} clips")
    print(f"asd          {ours:8.2f} s, {peak / 2**20:.1f} MiB at most")
    print(f"scikit-learn {theirs:8.2f} s (from a few points)  {theirs / ours:.0f} x asd, apart {off:.1e}")


def compared(
    trials: dict[str, list[Trial]], points: np.ndarray, runs: int = 3, sampled: int = 10
) -> tuple[float, float, float]:
    """Seconds of the whole search, shares and held-out estimate included; of scikit-learn, told from a few of its
    points; and how far the numbers are apart.
    """
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        grid = OnGrid(trials, STEPS, harmonic=True, progress=None)
        held_out(list(trials), grid.best, lambda chosen: score_table(trials, chosen, harmonic=True))
        times.append(time.perf_counter() - began)
    rows = np.random.default_rng(1).choice(len(points), sampled, replace=False)
    began = time.perf_counter()
    expected = [with_sklearn(trials, points[row]) for row in rows]
    theirs = (time.perf_counter() - began) / sampled * len(points)
    return min(times), theirs, float(np.abs(grid.table.official()[rows] - expected).max())


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
