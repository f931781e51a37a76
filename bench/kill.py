"""SIGKILL at random moments of real `asd` runs: what is finished in the end is what an undisturbed run gives.

python bench/kill.py [minutes] [seed]

Each round kills the chain of commands again and again until it comes through, then compares every file of its result.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
STAGES = ("features", "train", "embed", "score")
CHOICE = ("--recipe", "baseline_ae", "--profile", "smoke", "--data", "own_data", "--device", "cpu")
RESULTS = {"samples.bin": "store", "weights.safetensors": "runs", ".csv": "scores", ".f32": "store"}


def start(root: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "asdcli", "--root", str(root), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(root: Path, *arguments: str) -> float:
    """Run to the end; returns the seconds it took."""
    began = time.monotonic()
    process = start(root, *arguments)
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"asd {' '.join(arguments)}: exit {process.returncode}\n{said.decode()}")
    return time.monotonic() - began


def write_clips(tree: Path) -> None:
    rng = np.random.default_rng(0)
    for name in [f"train/{i}" for i in range(12)] + [
        f"test/{kind}/{i}" for kind in ("normal", "anomaly") for i in range(3)
    ]:
        path = tree / "fan" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.uniform(-0.3, 0.3, RATE), RATE)


def results(root: Path) -> dict[str, bytes]:
    """Every finished file of store, runs and scores, by its place."""
    paths = [path for name in RESULTS.values() for path in (root / name).rglob("*") if path.is_file()]
    kept = [path for path in paths if path.name.endswith(tuple(RESULTS)) and not path.name.startswith(".")]
    return {str(path.relative_to(root)): path.read_bytes() for path in kept}


def left_behind(root: Path) -> list[str]:
    """What no command swept."""
    found = [*root.rglob("*.tmp"), *root.rglob("checkpoint.pt")]
    return [str(path.relative_to(root)) for path in found if "seed_0" in path.parts or "store" in path.parts]


def killed_round(root: Path, tree: Path, seconds: dict[str, float], draw: random.Random, counts: Counter[str]) -> None:
    finish(root, "download", "own_data", "--link", str(tree))
    for stage in STAGES:
        for _ in range(draw.randrange(1, 5)):
            process = start(root, stage, *CHOICE)
            try:
                process.wait(timeout=draw.uniform(0, seconds[stage]))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            process.communicate()
            counts["killed" if process.returncode == -signal.SIGKILL else "came through"] += 1
        finish(root, stage, *CHOICE)


def main(minutes: float = 10, seed: int | None = None) -> None:
    seed = random.randrange(10**6) if seed is None else int(seed)
    draw, end, counts = random.Random(seed), time.monotonic() + 60 * minutes, Counter[str]()
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_clips(folder / "tree")
        finish(folder / "whole", "download", "own_data", "--link", str(folder / "tree"))
        seconds = {stage: finish(folder / "whole", stage, *CHOICE) for stage in STAGES}
        expected = results(folder / "whole")
        while time.monotonic() < end:
            root = folder / f"round_{counts['rounds']}"
            killed_round(root, folder / "tree", seconds, draw, counts)
            found = results(root)
            counts["rounds"] += 1
            counts["identical files"] += sum(found.get(place) == content for place, content in expected.items())
            counts["other files"] += sum(found.get(place) != content for place, content in expected.items())
            counts["files too many"] += len(found.keys() - expected.keys())
            counts["left behind"] += len(left_behind(root))
    for what, count in sorted(counts.items()):
        print(f"{what:16} {count:7,}")
    if counts["other files"] or counts["files too many"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main(*(json.loads(argument) for argument in sys.argv[1:]))
