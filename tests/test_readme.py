"""Every command that the README shows, run in its order in one folder, as a newcomer would."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import REPOSITORY, clip_names, machine_sound, readme_commands, write_clip
from processes import Command
from server import running, stock

from asdcli.challenge.editions.edition import load_edition
from asdcli.challenge.editions.scorefiles import Unit, decision_name, score_name, write_values
from asdcli.challenge.editions.truth import truth_from_clips, write_truth
from asdcli.recipe.loading import RECIPES

# The first block is the promise of cli/test_promise.py.
COMMANDS = [command for block in readme_commands()[1:] for command in block if command.startswith("asd ")]


def what_the_reader_has(folder: Path) -> None:
    """The folders that the README speaks of as the reader's own."""
    tree = folder / "dcase2020_tree" / "dev_data" / "raw" / "ToyCar"
    for index in range(12):
        write_clip(tree / "train" / f"normal_id_01_{index:08d}.wav", machine_sound(index, 200))
    for label in ("normal", "anomaly"):
        for index in range(4):
            sound = machine_sound(50 + index, 200, knock=label == "anomaly")
            write_clip(tree / "test" / f"{label}_id_01_{index:08d}.wav", sound)
            write_clip(folder / "my_recordings" / "press" / "test" / label / f"{index}.wav", sound)
    shutil.copytree(tree / "train", folder / "my_recordings" / "press" / "train")
    shutil.copytree(RECIPES / "baseline_ae", folder / "my_recipe")
    rng = np.random.default_rng(0)
    dev = clip_names(10)
    edition, unit = load_edition("dcase2022"), Unit("fan", "00")
    for name in ("my_scores", "their_scores"):
        write_values(folder / name / score_name(edition, unit), dev, rng.random(len(dev)))
        write_values(folder / name / decision_name(edition, unit), dev, rng.integers(0, 2, len(dev)))
    unit = Unit("fan", "03")
    clips = [f"section_03_{index:04d}.wav" for index in range(40)]
    for name in ("my_eval_scores", "their_eval_scores"):
        write_values(folder / name / score_name(edition, unit), clips, rng.random(len(clips)))
    rows = [("fan", "03", clip, i % 2, ("source", "target")[i // 2 % 2]) for i, clip in enumerate(clips)]
    write_truth(folder / "ground_truth", edition, truth_from_clips(rows))


def thin_out(demo: Path) -> None:
    """Leave a few clips of each kind: every command does the same with them, only sooner."""
    for most, kind in ((5, "source_train"), (3, "target_train"), (5, "test")):
        for path in demo.rglob(f"*_{kind}_*.wav"):
            if int(re.search(r"_(?:normal|anomaly)_(\d{4})_", path.name)[1]) >= most:
                path.unlink()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    what_the_reader_has(folder)
    return folder


def test_the_readme_shows_every_command() -> None:
    shown = {shlex.split(command)[1] for command in COMMANDS}
    assert shown >= {"download", "train", "embed", "score", "ensemble", "evaluate", "package-submission"}
    assert shown >= {"plot", "recipes", "doctor", "threshold", "predict", "export", "drift", "bank"}


def test_figures_are_of_the_demo_whatever_was_used_before() -> None:
    (block,) = [block for block in readme_commands() if any(command.startswith("asd plot") for command in block)]
    assert all("--data demo" in command for command in block)


def test_the_demo_script_runs_the_commands_of_the_readme() -> None:
    script = (REPOSITORY / "bench" / "demo.sh").read_text().replace("\\\n", " ")
    ran = [shlex.split(line)[1:] for line in script.splitlines() if line.startswith("run asd ")]
    assert [command[:2] for command in ran] == [shlex.split(line)[:2] for line in COMMANDS[:7]]


@pytest.fixture
def mirror() -> Iterator[str]:
    """A record host on this machine that has a few clips of the edition that the README downloads."""
    for server in running():
        stock(server, load_edition("dcase2022"), ["dev"])
        yield server.url


def test_every_command_of_the_readme_works(home: Path, mirror: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "ASD_ROOT"}
    environment["ASD_MIRROR"] = mirror
    outputs = {}
    for command in COMMANDS:
        if "--check Example_UNI.zip" in command:
            shutil.copy(next((home / "asd_work" / "submissions").rglob("Example_UNI.zip")), home)
        done = Command(shlex.split(command)[1:], home, environment).wait()
        possible = (0, 3) if command.startswith("asd predict ") else (0,)  # 3: an alarm
        assert done.returncode in possible, f"{command}\n{done.stdout}\n{done.stderr}"
        outputs[command] = done.stdout + done.stderr
        if command == "asd download demo":
            thin_out(home / "asd_work" / "data" / "demo")
    assert "Official score" in outputs["asd evaluate"]
    assert "synthetic" in outputs["asd evaluate"]
    assert "The package is valid." in outputs["asd package-submission --check Example_UNI.zip"]
