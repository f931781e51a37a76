"""Bad files and bad recipes: one clear sentence each, exit code 2, and nothing lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers import machine_sound, tree_bytes, write_clip

from asdcli.recipe.loading import RECIPES

CLIP = "data/demo/dev_data/raw/SynFan/train/section_00_source_train_normal_0000_spd_1.wav"


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("these are not the sounds you are looking for\n")


def not_a_number(path: Path) -> None:
    write_clip(path, np.full(6400, np.nan, dtype=np.float32), subtype="FLOAT")


def stereo(path: Path) -> None:
    write_clip(path, np.stack([machine_sound(1, 200)] * 2, axis=1))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncated, "truncated"),
        (empty, "empty"),
        (text, "not a wav"),
        (not_a_number, "NaN"),
        (stereo, "channel"),
    ],
)
def test_bad_clip(asd, tree: Path, damage: Callable[[Path], None], words: str) -> None:
    damage(tree / CLIP)
    before = tree_bytes(tree / "data")
    done = asd("train", "--root", tree, "--recipe", "baseline_ae", "--profile", "smoke", "-m", "SynFan", code=2)
    assert words.lower() in done.stderr.lower()
    assert Path(CLIP).name in done.stderr
    assert done.stderr.count("Error:") == 1
    assert "Traceback" not in done.stderr
    assert tree_bytes(tree / "data") == before
    assert not list((tree / "store").rglob("*.tmp*"))


def test_a_bad_clip_of_one_machine_of_several_is_bad_input(asd, tree: Path) -> None:
    """The others are trained."""
    truncated(tree / CLIP)
    done = asd("train", "--root", tree, "--recipe", "baseline_ae", "--profile", "smoke", code=2)
    assert "Error: Training failed for ae (SynFan)." in done.stderr
    assert "truncated" in done.stderr.lower()
    assert len(list((tree / "runs").rglob("weights.safetensors"))) == 2


def test_a_threshold_from_few_clips_says_so(asd, tree: Path) -> None:
    about = ("--root", tree, "--recipe", "baseline_ae", "--profile", "smoke", "-m", "SynPump")
    sentence = (
        "The threshold of SynPump section 00 comes from 8 training clips: what decisions say there is little more"
    )
    assert sentence in asd("score", *about).stderr
    assert sentence in asd("ensemble", *about).stdout
    folder = tree / "data/demo/eval_data/raw/SynPump/train"
    for number in range(10, 22):
        shutil.copy(
            folder / "section_00_source_train_normal_0000_spd_0.wav",
            folder / f"section_00_source_train_normal_00{number}_spd_0.wav",
        )
    assert "The threshold" not in asd("score", *about).stderr  # 20 clips now
    assert "The threshold" not in asd("ensemble", *about).stdout


def test_another_sampling_rate_is_resampled_and_said(asd, tree: Path) -> None:
    write_clip(tree / CLIP, machine_sound(1, 200), rate=44_100)
    done = asd("features", "--root", tree, "--recipe", "baseline_ae", "--profile", "smoke", "-m", "SynFan")
    assert "1 clip of SynFan resampled from 44100 Hz to 16000 Hz" in done.stderr


def test_a_wrong_file_name_is_reported_and_left_out(asd, tree: Path) -> None:
    (tree / CLIP).rename((tree / CLIP).with_name("secton_00.wav"))
    done = asd("features", "--root", tree, "--recipe", "baseline_ae", "--profile", "smoke", "-m", "SynFan")
    assert "secton_00.wav" in done.stderr


def test_a_broken_score_file_names_its_line(asd, tmp_path: Path) -> None:
    folder = tmp_path / "scores"
    folder.mkdir()
    (folder / "anomaly_score_fan_section_00_test.csv").write_text(
        "section_00_source_test_normal_0000.wav,0.5\nsection_00_source_test_normal_0001.wav,high\n"
    )
    done = asd("evaluate", "scores", "--data", "dcase2022", code=2)
    assert "line 2: 'high' is not a number" in done.stderr


def test_a_broken_attribute_file_names_its_line(asd, tree: Path) -> None:
    machine = (tree / CLIP).parent.parent
    (machine / "attributes_00.csv").write_text('file_name,d1p,d1v\n"unclosed,spd,1\n')
    done = asd("features", "--root", tree, "--recipe", "baseline_ae", "--profile", "smoke", "-m", "SynFan", code=2)
    assert "attributes_00.csv, line 2" in done.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r["phases"]["train"].update(epoch=3), "unknown key 'phases.train.epoch'. Did you mean 'epochs'?"),
        (lambda r: r["frontend"].update(n_fftt=512), "logmel has no 'n_fftt'. Did you mean 'n_fft'?"),
        (lambda r: r["model"].update(name="dense_autoencodr"), "Did you mean 'dense_autoencoder'?"),
        (lambda r: r["phases"]["train"].update(batch_size="many"), "phases.train.batch_size is 'many'"),
        (lambda r: r["phases"]["train"]["optimizer"].update(lr="fast"), "'fast' is not possible here"),
        (lambda r: r.update(phase={}), "unknown key 'phase'. Did you mean 'phases'?"),
    ],
)
def test_a_recipe_with_a_typo(asd, tree: Path, tmp_path: Path, change: Callable[[dict], None], words: str) -> None:
    recipe = yaml.safe_load((RECIPES / "baseline_ae" / "recipe.yaml").read_text())
    change(recipe)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    done = asd("train", "--root", tree, "--recipe", "./mine", code=2)
    assert words in done.stderr
    assert "recipe.yaml, line " in done.stderr
    assert not (tree / "runs").exists()


def test_a_recipe_of_ones_own_runs(asd, tree: Path, tmp_path: Path) -> None:
    shutil.copytree(RECIPES / "baseline_ae", tmp_path / "mine")
    (tmp_path / "mine" / "SynFan.yaml").write_text("phases: {train: {batch_size: 32}}\n")
    asd("train", "--root", tree, "--recipe", "mine", "--profile", "smoke", "-m", "SynFan")
    asd("train", "--root", tree, "--profile", "smoke", "-m", "SynFan")  # the recipe used last, by its path
    written = next((tree / "runs" / "mine@smoke").rglob("recipe.json")).read_text()
    assert '"batch_size": 32' in written
