"""Trainings side by side: the same weights however many run at once, and failures that stay where they are."""

from __future__ import annotations

import json
import multiprocessing
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import invoke, tree_bytes

from asdcli.recipe.loading import RECIPES
from asdcli.stages import jobs, train
from asdcli.stages.selection import Selection, select
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

CHOICE = ("--recipe", "baseline_ae", "--profile", "smoke", "--data", "demo")


class Listener(Ui):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def say(self, text: str) -> None:
        self.heard.append(text)

    warn = say


def selected(tree: Path, ui: Ui | None = None, **others: Any) -> Selection:
    given = {"recipe": "baseline_ae", "profile": "smoke", "device": "cpu", "data": "demo", **others}
    return select(Workspace(tree), ui or Ui(), **given)


def weights(tree: Path) -> dict[str, bytes]:
    return {name: found for name, found in tree_bytes(tree / "runs").items() if name.endswith("weights.safetensors")}


def test_what_comes_out_is_what_one_thread_makes_alone(tree: Path) -> None:
    selections = [selected(tree, seed=seed, machines=["SynPump"]) for seed in (0, 1)]
    done = jobs.run(selections, 2, ["cpu"])
    assert [entry.fresh for entry in done] == [False, False]
    beside = weights(tree)
    (made,) = json.loads((Path(done[0].path) / "made.json").read_text()).values()
    assert made["threads"] == jobs.THREADS == 1
    assert [entry.fresh for entry in jobs.run(selections, 2, ["cpu"])] == [True, True]
    shutil.rmtree(tree / "runs")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    for selection in selections:
        train.run(selection)
    torch.set_num_threads(before)
    assert weights(tree) == beside
    assert len(beside) == 2


@pytest.mark.slow
def test_one_that_fails_or_is_killed_leaves_the_others_alone(tree: Path, tmp_path: Path) -> None:
    recipe = Path(shutil.copytree(RECIPES / "baseline_ae", tmp_path / "mine"))
    path = recipe / "recipe.yaml"
    assert "members:\n  ae: {}\n" in path.read_text()
    steep = "  steep: {phases: {train: {optimizer: {lr: 1.0e+30}}}}\n"
    path.write_text(path.read_text().replace("members:\n  ae: {}\n", f"members:\n  ae: {{}}\n{steep}  killed: {{}}\n"))

    class Killing(Listener):
        def say(self, text: str) -> None:
            super().say(text)
            begun = [line for line in self.heard if line.startswith("Device:")]  # said by features first
            if text.startswith("Device:") and len(begun) == 4:
                os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)

    ui = Killing()
    selection = selected(tree, ui, recipe=str(recipe), machines=["SynPump"])
    said = r"Training failed for steep \(SynPump\), killed \(SynPump\)"
    with pytest.raises(train.TrainingError, match=said) as caught:
        jobs.run([selection], 1, ["cpu"])
    assert caught.value.members == ("ae",)
    assert caught.value.exit_code == 1
    heard = "\n".join(ui.heard)
    assert "steep SynPump: The loss of phase train is" in heard
    assert "killed SynPump: Its process was killed by signal 9" in heard
    assert len(weights(tree)) == 1


def test_a_plan_is_what_is_left_to_do_as_lines_of_a_shell(tree: Path, tmp_path: Path, monkeypatch: Any) -> None:
    odd = tree.rename(tmp_path / "a root's folder")
    lines = invoke("--root", odd, "train", *CHOICE, "--plan", "--seed", "3", "--seed", "4").splitlines()
    assert len(lines) == 3 * 2
    assert (odd / "store").is_dir()
    assert not (odd / "runs").exists()
    monkeypatch.chdir(tmp_path)
    for line in lines[::-2]:
        words = shlex.split(line)
        assert words[:2] == ["asd", "--root"]
        assert Path(words[2]) == odd
        invoke(*words[1:])
    left = json.loads(invoke("--root", odd, "train", *CHOICE, "--plan", "--seed", "3", "--seed", "4", "--json"))
    assert left == {"plan": lines[::2]}


def test_machines_that_share_a_network_are_one_job(tree: Path) -> None:
    line, *others = jobs.plan([selected(tree, recipe="frozen_encoder", members=["random"])], ["cpu"])
    assert not others
    assert shlex.split(line).count("--machine") == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--jobs", "0"], "'0' is neither auto nor a number from 1 on."),
        (["--jobs", "many"], "'many' is neither auto nor a number from 1 on."),
        (["--device", "cuda:0,cpu"], "several devices are GPUs by number, such as cuda:0,cuda:1."),
        (["--device", "cuda:x"], "'cuda:x' is not one of 'auto', 'cpu', 'cuda', 'cuda:1'."),
    ],
)
def test_mistakes(asd: Any, tree: Path, arguments: list[str], sentence: str) -> None:
    assert sentence in asd("--root", tree, "train", *CHOICE, *arguments, code=2).stderr


@pytest.mark.slow
def test_a_killed_parent_leaves_no_process_behind_and_goes_on(tree: Path) -> None:
    command = [sys.executable, "-m", "asdcli", "--root", str(tree), "train", *CHOICE, "--jobs", "2"]
    parent = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert parent.stderr is not None
    for line in parent.stderr:
        if "at once" in line:
            break
    children: list[str] = []
    while not children:
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    parent.kill()
    parent.wait()
    assert children
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        time.sleep(0.1)
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert len(weights(tree)) == 3
