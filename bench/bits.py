"""Do the recipes still give the same weights, embeddings and scores, to the last bit? For changes that should not.

Runs the smoke profile of every recipe on the demo data, one thread, CPU, and prints a hash of each kind of result.

python bench/bits.py > before.json
python bench/bits.py before.json    (says which recipes differ; exit 1 if any does)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

MACHINES = ("SynFan", "SynPump")  # of the development set, with two sections, and of the evaluation set
RESULTS = {"weights": ("runs", "*.safetensors"), "embeddings": ("embeddings", "*.npz"), "scores": ("scores", "*.csv")}


def main(before: str = "") -> None:
    with tempfile.TemporaryDirectory() as root:
        asd(root, "download", "demo")
        recipes = [recipe["name"] for recipe in json.loads(asd(root, "recipes", "--json"))]
        found = {recipe: hashes(root, recipe) for recipe in recipes}
    print(json.dumps(found, indent=1))
    if before:
        known = json.loads(Path(before).read_text())
        differ = [
            f"{recipe} {kind}" for recipe in known for kind in RESULTS if known[recipe][kind] != found[recipe][kind]
        ]
        print(f"Differ: {', '.join(differ)}" if differ else f"All {len(known)} recipes are the same.", file=sys.stderr)
        sys.exit(bool(differ))


def hashes(root: str, recipe: str) -> dict[str, str]:
    """A hash over the files of each kind of result, with their names but for what names the run."""
    chosen = ["--recipe", recipe, "--profile", "smoke", "--device", "cpu", "--data", "demo"]
    asd(root, "score", *chosen, *(word for machine in MACHINES for word in ("--machine", machine)))
    found = {}
    for kind, (folder, pattern) in RESULTS.items():
        top, hashed = Path(root) / folder / f"{recipe}@smoke", hashlib.sha256()
        files = sorted(top.rglob(pattern))
        for path in files:
            name = re.sub(r"/[0-9a-f]{12}/", "/", str(path.relative_to(top)))
            hashed.update(name.encode() + path.read_bytes())
        found[kind] = f"{len(files)} files, {hashed.hexdigest()[:16]}"
    return found


def asd(root: str, *arguments: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "asdcli", "--root", root, *arguments]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
