"""What is damaged or gone under the root: made again with one sentence, or taken out; never believed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import tree_bytes

CHOICE = ("--recipe", "baseline_ae", "--profile", "smoke", "--data", "demo", "--device", "cpu")
FAN = (*CHOICE, "-m", "SynFan")


def only(root: Path, pattern: str) -> Path:
    return sorted(root.rglob(pattern))[0]


def flip(path: Path) -> None:
    """One bit, in place, under the old time."""
    kept, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        ("weights.safetensors", flip),
        ("weights.safetensors", lambda path: path.write_bytes(b"")),
        ("dev.npz", flip),
        ("dev.npz", lambda path: path.write_bytes(path.read_bytes()[:200])),
        ("anomaly_score_SynFan_section_00_test.csv", lambda path: path.write_bytes(b"")),
        ("samples.bin", flip),
        ("*.f32", lambda path: path.write_bytes(bytes(path.stat().st_size))),
    ],
    ids=range(7),
)
def test_what_is_damaged_is_made_again_to_the_same_bytes(
    asd, tree: Path, pattern: str, damage: Callable[[Path], object]
) -> None:
    asd("score", "--root", tree, *FAN)
    before = tree_bytes(tree / "scores")
    damage(only(tree, pattern))
    if not pattern.endswith(".csv"):
        shutil.rmtree(tree / "scores")  # so that all before them is read
    if pattern in ("samples.bin", "*.f32"):
        shutil.rmtree(tree / "runs")
    done = asd("score", "--root", tree, *FAN)
    assert "not what was written" in done.stderr or "was changed after it was written" in done.stderr
    after = tree_bytes(tree / "scores")
    assert {name: data for name, data in after.items() if name.endswith(".csv")} == {
        name: data for name, data in before.items() if name.endswith(".csv")
    }
    assert "written" not in asd("score", "--root", tree, *FAN).stderr


def test_a_machine_and_a_section_that_left_the_data_leave_the_scores(asd, tree: Path) -> None:
    asd("score", "--root", tree, *CHOICE)
    folder = only(tree / "scores", "seed_0")
    names = {path.name for path in folder.rglob("*.csv")}
    assert any("SynBearing" in name for name in names)
    shutil.rmtree(tree / "data/demo/dev_data/raw/SynBearing")
    for path in (tree / "data/demo/dev_data/raw/SynFan").rglob("section_01_*"):
        path.unlink()
    done = asd("score", "--root", tree, *CHOICE)
    assert "of what is no longer in the data: removed" in done.stderr
    names = {path.name for path in folder.rglob("*.csv")}
    assert names
    assert not any("SynBearing" in name or "SynFan_section_01" in name for name in names)


def test_scores_of_a_set_that_is_not_worked_on_stay(asd, tree: Path) -> None:
    asd("score", "--root", tree, *CHOICE)
    before = tree_bytes(tree / "scores")
    asd("score", "--root", tree, *CHOICE, "--set", "dev")
    kept = tree_bytes(tree / "scores")
    assert {name for name in before if name.endswith(".csv")} == {name for name in kept if name.endswith(".csv")}


def test_an_unplugged_set_takes_nothing_away(asd, tree: Path) -> None:
    data = tree / "data/demo/eval_data"
    (data / "raw").rename(tree / "disk")
    (data / "raw").symlink_to(tree / "disk")
    asd("score", "--root", tree, *CHOICE)
    before = {name for name in tree_bytes(tree / "scores") if "SynPump" in name}
    (tree / "disk").rename(tree / "elsewhere")
    done = asd("score", "--root", tree, *CHOICE)
    assert f"demo (eval) is linked to {tree / 'disk'}, and that is not there now: left out." in done.stderr
    assert before == {name for name in tree_bytes(tree / "scores") if "SynPump" in name} != set()


def test_what_a_kill_left_goes_though_the_run_is_fresh(asd, tree: Path) -> None:
    asd("train", "--root", tree, *FAN)
    folder = only(tree / "runs", "weights.safetensors").parent
    for name in ("checkpoint.pt", ".weights.safetensors.99.tmp"):
        (folder / name).write_bytes(b"left")
    asd("train", "--root", tree, *FAN)
    assert sorted(path.name for path in folder.iterdir()) == [
        *("labels.json", "log.jsonl", "made.json", "recipe.json", "run.json", "weights.safetensors"),
    ]


@pytest.mark.parametrize("key", ["members", "detectors", "phases", "systems"])
def test_a_recipe_whose_names_are_paths_is_refused(asd, tree: Path, key: str) -> None:
    import yaml

    from asdcli.recipe.loading import RECIPES

    recipe = yaml.safe_load((RECIPES / "baseline_ae" / "recipe.yaml").read_text())
    recipe.pop("published", None)
    entry = next(iter(recipe[key].values())) if recipe.get(key) else {"best": 1, "oracle": True}
    recipe[key] = {"../../../../out": entry}
    folder = tree / "theirs"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    before = set(tree.parent.rglob("*"))
    done = asd("score", "--root", tree, "--recipe", folder, "--profile", "smoke", "--data", "demo", code=2)
    assert "cannot be the name of a folder" in done.stderr
    assert {path for path in set(tree.parent.rglob("*")) - before if "out" in path.name} == set()
