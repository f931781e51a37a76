"""The recipe `ssl_classifier` by the command line, on machines that have nothing to classify by."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
from helpers import machine_sound, write_clip

from asdcli.challenge.editions.scorefiles import read_values

DETECTORS = ("cosine", "mahalanobis")


def test_one_section_one_domain_and_no_attributes_are_enough(
    asd: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    raw = tmp_path / "root" / "data" / "demo" / "dev_data" / "raw" / "SynBearing"
    for index in range(8):
        name = f"section_00_source_train_normal_{index:04d}_noAttribute.wav"
        write_clip(raw / "train" / name, machine_sound(index, 200, seconds=1.2))
    for domain in ("source", "target"):
        for label in ("normal", "anomaly"):
            for index in range(3):
                sound = machine_sound(50 + index, 200, seconds=1.2, knock=label == "anomaly")
                write_clip(raw / "test" / f"section_00_{domain}_test_{label}_{index:04d}_noAttribute.wav", sound)
    done = asd("--root", "root", "evaluate", "--recipe", "ssl_classifier", "--profile", "smoke", "--data", "demo")
    assert "classifier/cosine" in done.stdout
    assert "classifier/mahalanobis" in done.stdout
    for detector in DETECTORS:
        folder = tmp_path / "root" / "scores" / "ssl_classifier@smoke" / "demo" / "classifier" / detector / "seed_0"
        _, test = read_values(folder / "dev" / "anomaly_score_SynBearing_section_00_test.csv")
        _, own = read_values(folder / "train" / "anomaly_score_SynBearing_section_00_test.csv")
        assert (len(test), len(own)) == (12, 8)
        assert np.isfinite([*test, *own]).all()
    run = tmp_path / "root" / "runs" / "ssl_classifier@smoke" / "demo" / "classifier" / "SynBearing"
    records = [json.loads(line) for line in next(run.rglob("log.jsonl")).read_text().splitlines()]
    assert records[-1]["step"] == 3
    assert all(0 <= record["accuracy"] <= 1 for record in records)
