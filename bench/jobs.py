"""What trainings side by side gain: `asd train --jobs N` for several N on the demo data, and whether weights agree.

python bench/jobs.py [--recipe baseline_ae] [--profile full] [--device cpu] [--jobs 1 2]

Prints a row for each N: seconds, the factor over the first N, and whether all weights are the same to the last bit.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ASD = [sys.executable, "-m", "asdcli"]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="baseline_ae")
    parser.add_argument("--profile", default="full")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args(arguments)
    print("| jobs | s | factor | weights |\n|---|---|---|---|")
    for count, seconds, factor, same in side_by_side(options.recipe, options.profile, options.device, options.jobs):
        print(f"| {count} | {seconds:.1f} | {factor:.2f} | {'the same' if same else 'OTHERS'} |", flush=True)


def side_by_side(
    recipe: str, profile: str, device: str, counts: Sequence[int], machines: Sequence[str] = ()
) -> Iterator[tuple[int, float, float, bool]]:
    """For each number of jobs: seconds, how many times faster than the first, and whether all weights are the same."""
    chosen = ["--recipe", recipe, "--profile", profile, "--data", "demo", "--device", device]
    chosen += [word for machine in machines for word in ("--machine", machine)]
    first: tuple[float, dict[str, bytes]] | None = None
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        _asd(root, "download", "demo")
        _asd(root, "features", *chosen)
        for count in counts:
            began = time.perf_counter()
            _asd(root, "train", *chosen, "--jobs", str(count))
            seconds, weights = time.perf_counter() - began, _weights(root)
            first = first or (seconds, weights)
            yield count, seconds, first[0] / seconds, weights == first[1]
            _asd(root, "runs", "remove", *weights, "--yes")


def _asd(root: Path, *arguments: str) -> None:
    environment = {**os.environ, "ASD_ROOT": str(root)}
    subprocess.run([*ASD, *arguments], env=environment, check=True, capture_output=True)


def _weights(root: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in (root / "runs").rglob("weights.safetensors")}


if __name__ == "__main__":
    main(sys.argv[1:])
