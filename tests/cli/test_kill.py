"""SIGKILL at random moments: the same command goes on, and its results are those of a run that nobody disturbed."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import tree_bytes, write_tree
from processes import Calls, Command

MOST_KILLS = 5
CHOICE = ("--recipe", "./quick", "--data", "demo", "-m", "SynFan", "--device", "cpu")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root where features and training ran through, the function calls they took, and the recipe, of two phases."""
    folder = tmp_path_factory.mktemp("undisturbed")
    prepare(folder)
    for command in ("features", "train"):
        done = start(folder, command, Calls(count=folder / command)).wait()
        assert done.returncode == 0, done.stderr
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


def start(folder: Path, command: str, calls: Calls | None = None) -> Command:
    return Command([command, "--root", "root", *CHOICE], folder, around=calls)


@pytest.fixture
def kill_until_done(undisturbed: Path, tmp_path: Path) -> Callable[[str], None]:
    """Start a command again and again, killing it at a random function call, until it comes through."""
    prepare(tmp_path)
    # The moments are drawn anew each time; the seed is printed so that a failure can be repeated.
    seed = random.randrange(10**6)
    print("seed", seed)
    moments = random.Random(seed)

    def run(command: str) -> None:
        calls = int((undisturbed / command).read_text()) * 9 // 10  # how threads wait for each other moves their number
        for kills in range(MOST_KILLS):
            done = start(tmp_path, command, Calls(kill_at=moments.randint(1, calls))).wait()
            if done.returncode == 0 and kills:
                return
            assert done.returncode == -signal.SIGKILL, done.stderr
        done = start(tmp_path, command).wait()
        assert done.returncode == 0, done.stderr

    return run


def run_folder(folder: Path) -> Path:
    (run,) = (folder / "root" / "runs" / "quick" / "demo" / "ae" / "SynFan" / "seed_0").iterdir()
    return run


def whole_files(folder: Path) -> dict[str, bytes]:
    """All files but what a kill leaves of one that was being written; workspace/test_files.py shows how that goes."""
    return {name: data for name, data in tree_bytes(folder).items() if not name.endswith(".tmp")}


def without_times(log: bytes) -> list[dict]:
    records = [json.loads(line) for line in log.splitlines()]
    return [{k: v for k, v in record.items() if k not in ("seconds", "clips_per_s")} for record in records]


def test_a_killed_training_ends_with_the_same_weights(
    undisturbed: Path, tmp_path: Path, kill_until_done: Callable[[str], None]
) -> None:
    kill_until_done("train")
    expected, resumed = whole_files(run_folder(undisturbed)), whole_files(run_folder(tmp_path))
    assert resumed["weights.safetensors"] == expected["weights.safetensors"]
    assert without_times(resumed["log.jsonl"]) == without_times(expected["log.jsonl"])
    assert resumed.keys() == expected.keys()


def test_killed_features_end_with_the_same_store(
    undisturbed: Path, tmp_path: Path, kill_until_done: Callable[[str], None]
) -> None:
    kill_until_done("features")
    store = "root/store/demo/dev/SynFan"
    expected, made = whole_files(undisturbed / store), whole_files(tmp_path / store)
    data = {name for name in expected if name.endswith((".bin", ".f32"))}
    assert len(data) == 2
    assert {name: made[name] for name in data} == {name: expected[name] for name in data}
    assert made.keys() == expected.keys()


def test_two_trainings_at_once_make_one_result(undisturbed: Path, tmp_path: Path) -> None:
    prepare(tmp_path)
    for process in [start(tmp_path, "train") for _ in range(2)]:
        done = process.wait()
        assert done.returncode == 0, done.stderr
    assert (run_folder(tmp_path) / "weights.safetensors").read_bytes() == (
        run_folder(undisturbed) / "weights.safetensors"
    ).read_bytes()
