"""What is damaged or gone under the root: made again with one sentence, or taken out; never believed."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from helpers import invoke, notices, tree_bytes

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
        pytest.param("weights.safetensors", lambda path: path.write_bytes(b""), marks=pytest.mark.slow),
        ("dev.npz", flip),
        pytest.param("dev.npz", lambda path: path.write_bytes(path.read_bytes()[:200]), marks=pytest.mark.slow),
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


DAMAGED = (b"", b"[5]", b"\0" * 300)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("runs/**/run.json", "run.json is not what was written; it is written again."),
        ("runs/**/labels.json", "labels.json is not what was written; ae SynFan is trained again."),
        ("runs/**/made.json", "made.json is not what was written; ae SynFan is trained again."),
        ("embeddings/**/made.json", "made.json is not what was written; it is made again."),
        ("scores/**/made.json", "made.json is not what was written; it is made again."),
        ("ensembles/**/made.json", "made.json is not what was written; the weights in "),
        ("ensembles/**/weights.yaml", "weights.yaml is not what was written; it is made again."),
    ],
)
def test_a_damaged_note_is_written_again_with_one_sentence(tree: Path, pattern: str, said: str) -> None:
    invoke("ensemble", "--root", tree, *FAN, "--grid", "--step", "0.5")
    before, evaluate = tree_bytes(tree), ("evaluate", "--root", tree, *FAN, "--bootstrap", "0")
    place, shares = next(tree.glob(pattern)), next(tree.glob("ensembles/**/weights.yaml"))
    content = bytearray(place.read_bytes())
    cut = bytes(content[: len(content) // 2])
    content[len(content) // 2] ^= 1
    # What reads a note is the same for all of them (`workspace/test_made.py`); one is damaged in every way.
    for damage in (*DAMAGED, bytes(content), cut) if pattern == "scores/**/made.json" else (bytes(content), cut):
        place.write_bytes(damage)
        invoke("runs", "--root", tree)
        assert [line for line in notices(*evaluate).splitlines() if "not what was written" in line and said in line]
        assert "not what was written" not in notices(*evaluate)
        after = tree_bytes(tree)
        assert all(after[name] == data for name, data in before.items() if name.endswith(".csv"))
        weights = yaml.safe_load(before[str(shares.relative_to(tree))])["weights"]
        assert yaml.safe_load(shares.read_bytes())["weights"] == weights


def test_damaged_lines_of_a_log_are_left_out_of_curves(tree: Path) -> None:
    invoke("train", "--root", tree, *FAN)
    log = next(tree.glob("runs/**/log.jsonl"))
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines, b"5\n", b"\0" * 9 + b"\n", lines[0]]))
    curves = ("plot", "curves", "--root", tree, *FAN[:6], "-m", "SynFan")
    assert f"{log}: 2 lines are not what was written, and are left out." in notices(*curves)
    (found,) = json.loads(invoke(*curves, "--json"))["curves"]
    assert found["epochs"] == len(lines) + 1


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


def test_what_left_the_data_leaves_tables_fusions_and_packages_of_named_folders(asd, tree: Path) -> None:
    asd("ensemble", "--root", tree, *CHOICE)
    asd("ensemble", "--root", tree, *CHOICE, "-m", "SynBearing")
    folders = sorted((tree / "scores").rglob("seed_0"))
    fused = tree / "ensembles/baseline_ae@smoke/demo"
    label = ("--label", "Ex_UNI_task2_1", "--author", "Erin Example <e@example.org>, Example University, Town")
    asd("package-submission", "--root", tree, fused, *label, "--data", "demo")
    raw = tree / "data/demo/dev_data/raw"
    shutil.rmtree(raw / "SynBearing")
    for path in (raw / "SynFan").rglob("section_01_*"):
        path.unlink()
    (raw / "SynFan/test/section_00_target_test_normal_0003_spd_1.wav").unlink()
    done = asd("evaluate", "--root", tree, *folders, "--data", "demo", "--bootstrap", "0", "--json")
    for system in json.loads(done.stdout)["results"]:
        assert {name: list(found["sections"]) for name, found in system["machines"].items()} == {"SynFan": ["00"]}
        assert system["clips"] == 15
    for folder in folders:
        assert (
            f"Score files in {folder} are left out, since they are of what is no longer in the data: 2" in done.stderr
        )
        assert f"Clips in {folder} are left out, since they are of what is no longer in the data: 1" in done.stderr
    done = asd("ensemble", "--root", tree, *folders, "--data", "demo", "--json")
    out = Path(json.loads(done.stdout)["out"])
    (file,) = (out / "dev").glob("anomaly_score_*.csv")
    assert len(file.read_text().splitlines()) == 15
    asd("package-submission", "--root", tree, fused, *label, "--data", "demo")
    package = tree / "submissions/Ex_UNI_task2_1/Ex_UNI.zip"
    with zipfile.ZipFile(package) as opened:
        assert b"SynBearing" not in opened.read("task2/Ex_UNI_task2_1/Ex_UNI_task2_1.meta.yaml")
    before = package.read_bytes()
    (tree / "data/demo/eval_data/raw/SynPump/test/section_00_0001.wav").unlink()
    done = asd("package-submission", "--root", tree, fused, *label, "--data", "demo", code=2)
    assert f"{package} is still the package of before." in done.stderr
    assert package.read_bytes() == before
    gone = tree / "ensembles/baseline_ae@smoke.only-SynBearing/demo"
    done = asd("evaluate", "--root", tree, gone, "--data", "demo", code=2)
    assert f"{gone} holds scores of nothing that is in the data of demo now." in done.stderr


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


def own_in_both_sets(tree: Path) -> Path:
    """A data set of one machine that has clips in both sets."""
    for set_name in ("dev", "eval"):
        raw = tree / f"data/own/{set_name}_data/raw"
        shutil.copytree(tree / "data/demo/dev_data/raw/SynBearing", raw / "press")
    return tree / "data/own"


def test_scores_of_an_unplugged_set_stay_when_another_changes(asd, tree: Path) -> None:
    data, choice = own_in_both_sets(tree), (*CHOICE[:4], "--data", "own", "--device", "cpu")
    (data / "eval_data/raw").rename(tree / "disk")
    (data / "eval_data/raw").symlink_to(tree / "disk")
    asd("score", "--root", tree, *choice)
    before = {name for name in tree_bytes(tree / "scores") if "/eval/" in name}
    (tree / "disk").rename(tree / "elsewhere")
    next((data / "dev_data/raw/press/test").iterdir()).unlink()
    done = asd("score", "--root", tree, *choice)
    assert "no longer in the data" not in done.stderr
    assert before == {name for name in tree_bytes(tree / "scores") if "/eval/" in name} != set()


def test_a_machine_that_left_one_set_leaves_its_scores_though_another_set_is_asked_for(asd, tree: Path) -> None:
    data, choice = own_in_both_sets(tree), (*CHOICE[:4], "--data", "own", "--device", "cpu")
    shutil.copytree(data / "eval_data/raw/press", data / "eval_data/raw/mill")
    asd("score", "--root", tree, *choice)
    shutil.rmtree(data / "eval_data/raw/press")
    done = asd("score", "--root", tree, *choice, "--set", "dev")
    assert "of what is no longer in the data: removed" in done.stderr
    left = {name.rpartition("/")[2] for name in tree_bytes(tree / "scores") if "/eval/" in name}
    assert left
    assert not any("press" in name for name in left)


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
