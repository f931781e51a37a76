"""Memory against the number of clips: `asd features` and two steps of `asd train`, each in a process of its own.

python bench/memory.py [--recipe baseline_ae --member ae] [--clips 250 500 1000]

Clips are ten seconds of noise of one machine. What a process holds is sampled from the kernel: its own pages, and pages
of files that it has mapped, which the kernel may take away again. The last row is what each clip more costs, as a
multiple of the bytes that it has in the store and in the features.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import soundfile
import yaml

from asdcli.recipe.loading import RECIPES

MACHINE, DATA = "fan", "dcase2022"
SAMPLES = 160_000
MIB = 2**20


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="baseline_ae")
    parser.add_argument("--member", default="ae")
    parser.add_argument("--clips", type=int, nargs="+", default=[250, 500, 1000])
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        write_recipe(Path(name) / "short", options.recipe, options.member)
        print_table(Path(name), options.clips)


def print_table(folder: Path, counts: list[int]) -> None:
    print("| clips | store MiB | features MiB | `features`: own | of files | `train`: own | of files |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for count in counts:
        rows.append(held(folder, count))
        print("| " + " | ".join([f"{count}", *(f"{value / MIB:.0f}" for value in rows[-1][1:])]) + " |", flush=True)
    more = rows[-1] - rows[0]
    print("| each more | " + " | ".join(f"{value / more[1]:.2f} x" for value in more[1:]) + " |")


def held(folder: Path, count: int) -> np.ndarray:
    """Clips; bytes of store and features; of its own and of files, of `asd features` and of `asd train`."""
    root = folder / str(count)
    write_clips(root, count)
    packing, training = peak(root, "features"), peak(root, "train")
    sizes = [sum(path.stat().st_size for path in root.rglob(kind)) for kind in ("samples.bin", "*.f32")]
    return np.array([count, *sizes, *packing, *training])


def peak(root: Path, command: str) -> tuple[int, int]:
    """Bytes of its own, and of files, that the command holds at most."""
    words = ["--root", root, "--recipe", root.parent / "short", "--data", DATA, "-m", MACHINE, "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "asdcli", command, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    most, done = {"RssAnon": 0, "RssFile": 0}, threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            found = dict(line.split(":") for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
            for kind in most:
                most[kind] = max(most[kind], 1024 * int(found.get(kind, "0 kB").split()[0]))

    watching = threading.Thread(target=watch)
    watching.start()
    errors = process.stderr.read()
    done.set()
    watching.join()
    if process.wait():
        raise RuntimeError(errors.decode())
    return most["RssAnon"], most["RssFile"]


def write_recipe(folder: Path, name: str, member: str, steps: int = 2) -> None:
    """One member of a shipped recipe, with a few steps of its first phase."""
    recipe = yaml.safe_load((RECIPES / name / "recipe.yaml").read_text())
    own = recipe["members"][member]
    phases = recipe.get("phases") or own.pop("phases")
    first = next(iter(phases))
    recipe["phases"] = {first: phases[first]}
    if "phases" in own:
        own["phases"] = {name: changes for name, changes in own["phases"].items() if name == first}
    recipe["phases"][first] |= {"epochs": None, "steps": steps, "validation": None, "patience": None, "keep": "last"}
    recipe["members"] = {member: own}
    for key in ("systems", "profiles", "editions", "published"):
        recipe.pop(key, None)
    folder.mkdir()
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))


def write_clips(root: Path, count: int, machine: str = MACHINE) -> None:
    folder = root / "data" / DATA / "dev_data" / "raw" / machine / "train"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        samples = rng.integers(-3000, 3000, SAMPLES, dtype=np.int16)
        name = f"section_{index % 3:02d}_source_train_normal_{index:04d}_strength_{index % 2}.wav"
        soundfile.write(folder / name, samples, 16_000)


if __name__ == "__main__":
    main(sys.argv[1:])
