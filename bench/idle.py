"""What a command costs that finds everything up to date: CPU seconds and peak memory, beside `asd --help`.

python bench/idle.py [--recipe NAME] [--profile NAME] [--repeat N]

Makes demo data and everything of the recipe in a temporary folder first. Minima over the repeats: what is above them is
another process's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

COMMANDS = ("features", "train", "embed", "score", "ensemble")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", default="arcface_ensemble")
    parser.add_argument("--profile", default="smoke")
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args()
    recipe = ("--recipe", given.recipe, "--profile", given.profile, "--data", "demo")
    with tempfile.TemporaryDirectory() as root:
        run(root, "download", "demo")
        run(root, "ensemble", *recipe)
        print("command      CPU s    MB")
        for command in ("--help", *COMMANDS):
            arguments = [command] if command == "--help" else [command, *recipe]
            costs = [run(root, *arguments) for _ in range(given.repeat)]
            print(f"{command:10} {min(cpu for cpu, _ in costs):7.2f} {min(size for _, size in costs):5.0f}", flush=True)


def run(root: str, *arguments: str) -> tuple[float, float]:
    """CPU seconds and peak resident megabytes of one command."""
    command = [sys.executable, "-m", "asdcli", *arguments]
    process = subprocess.Popen(command, env={**os.environ, "ASD_ROOT": root}, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


if __name__ == "__main__":
    main()
