"""Training on more than memory holds: an edition in a group of processes that may have less than its samples take.

python bench/stream.py [--recipe everyday --member network] [--clips 1000] [--steps 60] [--limit-mib 1500]

Seven machines of so many clips of ten seconds of noise, one network for all of them. Trained without a limit and within
it by turns, from the same store: seconds of the steps, what the group held at most, whether the weights are the same.
It takes the right to make a control group (Linux; root, as in most containers).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memory import DATA, MIB, write_clips, write_recipe

from asdcli.stages.train import WEIGHTS
from asdcli.training.runlog import LOG
from asdcli.workspace.free_memory import GROUPS, LIMITS

MACHINES = ("ToyCar", "ToyTrain", "bearing", "fan", "gearbox", "slider", "valve")
PEAKS = {1: "memory.max_usage_in_bytes", 2: "memory.peak"}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="everyday")
    parser.add_argument("--member", default="network")
    parser.add_argument("--clips", type=int, default=1000, help="of each machine")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--limit-mib", type=int, default=1500)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        recipe, root = Path(name) / "short", Path(name) / "root"
        write_recipe(recipe, options.recipe, options.member, options.steps)
        for machine in MACHINES:
            write_clips(root, options.clips, machine)
        train(recipe, root, "features")
        samples = sum(path.stat().st_size for path in root.rglob("samples.bin"))
        print(f"{len(MACHINES) * options.clips} clips, {samples / MIB:.0f} MiB of samples, {options.steps} steps")
        print("| memory at most, MiB | seconds | held at most, MiB | what it said | weights |")
        print("|---|---|---|---|---|")
        first = None
        for limit in 2 * (None, options.limit_mib):
            shutil.rmtree(root / "runs", ignore_errors=True)
            with group(limit) as (folder, peak):
                said = train(recipe, root, "train", folder)
                held = int(peak.read_text()) / MIB
            (log,), (weights,) = root.rglob(LOG), root.rglob(WEIGHTS)
            seconds = sum(json.loads(line)["seconds"] for line in log.read_text().splitlines())
            first = first or weights.read_bytes()
            same = "the same" if weights.read_bytes() == first else "OTHERS"
            told = "".join(line for line in said.splitlines() if "of memory are left" in line)
            print(f"| {limit or 'any'} | {seconds:.1f} | {held:.0f} | {told} | {same} |", flush=True)


@contextmanager
def group(limit_mib: int | None) -> Iterator[tuple[Path, Path]]:
    """A control group with a limit; its file of processes and that of its peak."""
    version = 1 if (GROUPS / "memory").is_dir() else 2
    folder = (GROUPS / "memory" if version == 1 else GROUPS) / f"asd-bench-{os.getpid()}"
    try:
        folder.mkdir()
        if limit_mib:
            (folder / LIMITS[version][0]).write_text(str(limit_mib * MIB))
    except OSError as error:
        sys.exit(f"No control group can be made here: {error}")
    try:
        yield folder / "cgroup.procs", folder / PEAKS[version]
    finally:
        folder.rmdir()


def train(recipe: Path, root: Path, command: str, processes: Path | None = None) -> str:
    """Run a command of asd, within a group if there is one; what it said."""
    words = ["--root", root, "--recipe", recipe, "--data", DATA, "--device", "cpu"]
    enter = (lambda: processes.write_text(str(os.getpid()))) if processes else None
    done = subprocess.run(
        [sys.executable, "-m", "asdcli", command, *map(str, words)], capture_output=True, text=True, preexec_fn=enter
    )
    if done.returncode:
        raise RuntimeError(done.stderr or f"ended with {done.returncode}")
    return done.stderr


if __name__ == "__main__":
    main(sys.argv[1:])
