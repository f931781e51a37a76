"""SIGKILL at random moments: the same command goes on, and its results are those of a run that nobody disturbed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import tree_bytes, write_tree

CHOICE = ("--recipe", "./quick", "--data", "demo", "-m", "SynFan", "--device", "cpu")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root where training ran through, and the recipe: two phases, long enough to be hit in each."""
    folder = tmp_path_factory.mktemp("undisturbed")
    prepare(folder)
    start(folder, "train").communicate()
    return folder


def prepare(folder: Path) -> None:
    write_tree(folder / "root", train=20, seconds=1.0)
    (folder / "quick").mkdir()
    (folder / "quick" / "recipe.yaml").write_text(
        """
title: A small two-phase auto-encoder for the kill test
cite: [none]
edition: demo
channel: 0
frontend: logmel
view: frame_windows
model: {name: dense_autoencoder, hidden: 32, layers: 2}
phases:
  first:
    task: reconstruction
    epochs: 6
    batch_size: 16
    optimizer: {name: adam, lr: 0.001}
    validation: {fraction: 0.2}
    keep: best
  second:
    task: reconstruction
    steps: 600
    batch_size: 16
    accumulate: 3
    optimizer: {name: sgd, lr: 0.001, momentum: 0.9}
    schedule: {name: cosine, warmup: 20}
detectors: {mse: mse}
members: {ae: {}}
"""
    )


def start(folder: Path, command: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-m", "asdcli", command, "--root", "root", *CHOICE]
    pipe = subprocess.PIPE
    return subprocess.Popen(arguments, cwd=folder, env=environment, stdout=pipe, stderr=pipe, start_new_session=True)


def kill_until_done(folder: Path, command: str, moments: random.Random, longest_s: float, most: int) -> int:
    """Start the command again and again, killing it after a random time, until it comes through; the kills it took."""
    for kills in range(most):
        process = start(folder, command)
        try:
            process.communicate(timeout=moments.uniform(0, longest_s))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            continue
        assert process.returncode == 0
        return kills
    process = start(folder, command)
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr.decode()
    return most


def run_folder(folder: Path) -> Path:
    return folder / "root" / "runs" / "quick" / "demo" / "ae" / "SynFan" / "seed_0"


def without_times(log: bytes) -> list[dict]:
    records = [json.loads(line) for line in log.splitlines()]
    return [{k: v for k, v in record.items() if k not in ("seconds", "clips_per_s")} for record in records]


def test_a_killed_training_ends_with_the_same_weights(undisturbed: Path, tmp_path: Path) -> None:
    prepare(tmp_path)
    # The moments are drawn anew each time; the seed is printed so that a failure can be repeated.
    seed = random.randrange(10**6)
    print("seed", seed)
    started = time.monotonic()
    start(undisturbed, "train").communicate()
    start_up_s = time.monotonic() - started
    training_s = 2.5
    moments = random.Random(seed)
    while kill_until_done(tmp_path, "train", moments, start_up_s + training_s, most=5) == 0:
        shutil.rmtree(tmp_path / "root" / "runs")  # on a fast machine the training can be over before the first moment
        training_s /= 2
    expected, resumed = tree_bytes(run_folder(undisturbed)), tree_bytes(run_folder(tmp_path))
    assert resumed["weights.safetensors"] == expected["weights.safetensors"]
    assert without_times(resumed["log.jsonl"]) == without_times(expected["log.jsonl"])
    assert resumed.keys() == expected.keys()


def test_killed_features_end_with_the_same_store(undisturbed: Path, tmp_path: Path) -> None:
    prepare(tmp_path)
    seed = random.randrange(10**6)
    print("seed", seed)
    kill_until_done(tmp_path, "features", random.Random(seed), 3.0, most=5)
    store = "root/store/demo/dev/SynFan"
    expected, made = tree_bytes(undisturbed / store), tree_bytes(tmp_path / store)
    data = {name for name in expected if name.endswith((".i16", ".f32"))}
    assert len(data) == 2
    assert {name: made[name] for name in data} == {name: expected[name] for name in data}
    assert made.keys() == expected.keys()


def test_two_trainings_at_once_make_one_result(undisturbed: Path, tmp_path: Path) -> None:
    prepare(tmp_path)
    both = [start(tmp_path, "train") for _ in range(2)]
    for process in both:
        _, stderr = process.communicate()
        assert process.returncode == 0, stderr.decode()
    assert (run_folder(tmp_path) / "weights.safetensors").read_bytes() == (
        run_folder(undisturbed) / "weights.safetensors"
    ).read_bytes()
