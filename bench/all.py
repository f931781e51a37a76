"""One table of what can be had in a few minutes: each figure beside its reference, measured in the same run.

OMP_NUM_THREADS=1 python bench/all.py

Short settings: the scripts themselves measure longer. What fails is a row that says so; the exit code is then 1.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import download
import evaluate
import fusion
import idle
import leave_one_out
import memory
import neighbours
import numpy as np
import resample
import store
import torch
import train

from asdcli.recipe.loading import load_recipe
from asdcli.scores.search import simplex

Row = tuple[str, str, str]  # what, its reference, and the figure
IN_TRAINING = {"baseline_ae": "ae", "ssl_classifier": "classifier", "everyday": "network"}


def main() -> int:
    began, failed = time.perf_counter(), 0
    print("| what | reference | figure |\n|---|---|---|")
    for part in (packing_and_features, resampling, training, memory_of_a_clip, detection, scoring, idling, fetching):
        try:
            for row in part():
                print(f"| {' | '.join(row)} |", flush=True)
        except Exception as error:
            failed = 1
            print(f"| {part.__name__} | | failed: {type(error).__name__}: {error} |", flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s in all, {os.cpu_count()} cores")
    return failed


def packing_and_features() -> Iterator[Row]:
    for side, found in store.compared(clips=100, rounds=5).items():
        if side != found.reference:
            yield side, found.reference, f"{found.wall_share:.2g} of its speed, by CPU time {found.cpu_share:.2g}"


def resampling() -> Iterator[Row]:
    sound = np.random.default_rng(0).standard_normal(48_000 * 10)
    ways = {
        "scipy": resample.scipy,
        "torchaudio": resample.torchaudio(),
        "Kaiser": resample.torchaudio(**resample.BEST),
    }
    took = {name: min(resample.timed(way, sound, 48_000) for _ in range(3)) for name, way in ways.items()}
    for other in ("torchaudio", "Kaiser"):
        yield (
            "resampling from 48 kHz",
            f"torchaudio{', Kaiser' * (other == 'Kaiser')}",
            times(took["scipy"], took[other]),
        )


def training() -> Iterator[Row]:
    torch.set_num_threads(1)
    for recipe, member in IN_TRAINING.items():
        method = load_recipe(recipe).resolve(member=member)
        found = train.measured(method, "train", seconds=4)
        yield f"a step of `{recipe}` {member}", "its network", f"{100 * found.outside:.1f} % is not the network"
    yield "a step of `baseline_ae`", "a loop over torch's DataLoader", times(*train.against_a_data_loader())


def memory_of_a_clip() -> Iterator[Row]:
    for recipe, member, size in (("baseline_ae", "ae", "features"), ("ssl_classifier", "classifier", "samples")):
        with tempfile.TemporaryDirectory() as name:
            memory.write_recipe(Path(name) / "short", recipe, member)
            few, many = (memory.held(Path(name), count) for count in (96, 480))
        more = many - few
        stage, training = more[3] + more[4], more[5] + more[6]
        yield f"`asd features` ({recipe}), a clip more", "its samples", f"{stage / more[1]:.2f} of their bytes"
        held = more[2] if size == "features" else more[1]
        yield f"`asd train` ({recipe}), a clip more", f"its {size}", f"{training / held:.2f} of their bytes"


def detection() -> Iterator[Row]:
    for name in leave_one_out.DETECTORS_OF_BANKS:
        quick, slow, _ = leave_one_out.compared(name)
        yield f"`{name}`, each of 1000 left out", "a refit for each", times(quick, slow)
    ours, distances, search = neighbours.compared(10_000)
    yield "neighbours in a bank of 10,000", "scipy's distances", times(ours, distances)
    yield "", "scikit-learn's search", times(ours, search)


def scoring() -> Iterator[Row]:
    yield "official score, interval, 21 sections", "scikit-learn's calls", times(*evaluate.compared(sampled=2))
    points = simplex(fusion.SYSTEMS, fusion.STEPS)
    ours, theirs, _ = fusion.compared(fusion.make_trials(1, levels=None), points, runs=1, sampled=5)
    yield "grid of 8008 points, 7 sections", "scikit-learn's calls", times(ours, theirs)


def idling() -> Iterator[Row]:
    recipe = ("--recipe", "baseline_ae", "--profile", "smoke", "--data", "demo")
    with tempfile.TemporaryDirectory() as root:
        idle.run(root, "download", "demo")
        idle.run(root, "ensemble", *recipe)
        bare, whole = (
            min(idle.run(root, *words)[0] for _ in range(3)) for words in (("--help",), ("ensemble", *recipe))
        )
    yield "`asd ensemble` with nothing to do", "`asd --help`", f"{whole / bare:.1f} x its CPU time"


def fetching() -> Iterator[Row]:
    took = download.compared(files=2, megabytes=64, rounds=3)
    yield "fetching, MD5 checked", "curl", f"{took['curl'] / took['asd, md5 checked']:.2f} of its speed"


def times(ours: float, theirs: float) -> str:
    return f"{theirs / ours:.3g} x as fast"


if __name__ == "__main__":
    sys.exit(main())
