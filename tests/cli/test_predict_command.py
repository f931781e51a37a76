"""`asd predict` as a process: exit codes, rows and files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from helpers import machine_sound, write_clip


def test_the_journey(asd, tree: Path, tmp_path: Path) -> None:
    """From recordings of a machine to an alarm with its reason, and nothing where all is normal."""
    mine = ("--root", tree, "--recipe", "padim", "--member", "random", "--profile", "smoke", "--machine", "SynBearing")
    hall = tmp_path / "hall"
    write_clip(hall / "monday.wav", machine_sound(900, 200))
    write_clip(hall / "tuesday.wav", machine_sound(901, 200) + 0.5 * np.sin(2 * np.pi * 3140 / 16000 * np.arange(6400)))
    said = asd("predict", hall, *mine, code=2)
    assert "random of padim@smoke is not trained for SynBearing yet" in said.stderr
    asd("train", *mine)
    asd("threshold", *mine, "--detector", "per_position", "--fpr", "0.2")
    printed = asd("predict", hall, *mine, "--json", "--csv", "rows.csv", "--windows", code=3)
    document = json.loads(printed.stdout)
    assert document["system"] == "padim@smoke random/per_position"
    loud = document["files"][1]
    assert (loud["alarm"], loud["kind"], loud["file"]) == (True, "tone", str(hall / "tuesday.wav"))
    assert loud["why"].startswith("A tone near 31")
    assert "_train_normal_" in loud["nearest"]
    assert loud["peak"]["hz"] == pytest.approx(3140, rel=0.2)
    assert "the map is largest near" in loud["why"]
    rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
    assert [float(row["score"]) for row in rows] == [one["score"] for one in document["files"]]
    assert rows[1]["why"] == loud["why"]
    everything = asd("predict", str(hall / "*.wav"), *mine, code=3)
    assert "2 files alarm." in everything.stdout
    assert "tuesday.wav: A tone near 31" in everything.stdout
    asd("threshold", *mine, "--detector", "per_position", "--value", "1e9")
    assert "All 2 files are normal." in asd("predict", hall, *mine).stdout
    (hall / "broken.wav").write_text("nothing")
    said = asd("predict", hall, *mine, code=2)
    assert "1 of 3 files could not be scored" in said.stderr
    assert "monday.wav" in said.stdout
    (run,) = (tree / "runs").glob("*/*/*/SynBearing/*/*")
    assert (
        "All 1 files are normal."
        in asd("predict", hall / "monday.wav", "--run", run, "--root", tmp_path / "none").stdout
    )
    asd("predict", tmp_path / "nowhere", *mine, code=2)
