"""`asd export` and `asd drift` as processes: a folder that predicts elsewhere, and a verdict in a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from helpers import machine_sound, write_clip


def test_an_export_predicts_where_nothing_else_is(asd, tree: Path, tmp_path: Path) -> None:
    mine = ("--root", tree, "--recipe", "padim", "--member", "random", "--profile", "smoke", "--machine", "SynBearing")
    for number in range(8):
        write_clip(tmp_path / "hall" / f"{number}.wav", machine_sound(900 + number, 200))
    asd("train", *mine)
    asd("threshold", *mine, "--detector", "per_position", "--value", "1e-3")
    here = json.loads(asd("predict", "hall", *mine, "--json", code=3).stdout)
    said = asd("export", *mine, "--output", "box")
    assert "There: asd predict PATH... --run box" in said.stdout
    assert "box is there already" in asd("export", *mine, "--output", "box", code=2).stderr
    drifted = asd("drift", "hall", *mine)
    assert "8 windows against 8 training clips of SynBearing section 00" in drifted.stdout
    shutil.rmtree(tree)
    there = json.loads(asd("predict", "hall", "--run", "box", "--json", "--root", tmp_path / "none", code=3).stdout)
    assert there["files"] == here["files"]
    assert {one["threshold"] for one in there["files"]} == {1e-3}
    again = json.loads(asd("export", "--run", "box", "--output", "copy", "--json").stdout)
    assert again["bytes"] == sum(path.stat().st_size for path in (tmp_path / "copy").rglob("*") if path.is_file())
    weights = tmp_path / "box" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8] + np.random.default_rng(0).bytes(8))
    assert "damaged or not whole" in asd("predict", "hall", "--run", "box", code=2).stderr
