"""Runs are found by what they were made from: another choice is another run beside it, and `asd runs` tells them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import machine_sound, tree_bytes, write_clip, write_tree

import asdcli
from asdcli.errors import UserError
from asdcli.recipe import components
from asdcli.recipe.loading import RECIPES, load_recipe
from asdcli.stages import embed, train
from asdcli.stages.looking.run_list import find_listed, list_runs, litter, remove
from asdcli.stages.runs import find_run, find_runs
from asdcli.stages.selection import Selection, select
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace


def chosen(
    root: Path, recipe: str | Path = "baseline_ae", machines: list[str] | None = None, **others: Any
) -> Selection:
    given = {"profile": "smoke", "device": "cpu", "data": "demo", "machines": machines or ["SynPump"], **others}
    return select(Workspace(root), Ui(), recipe=str(recipe), **given)


def copied(name: str, folder: Path, old: str = "", new: str = "") -> Path:
    """A recipe's folder as one's own, with one thing replaced."""
    path = shutil.copytree(RECIPES / name, folder) / "recipe.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new) if old else path.read_text())
    return path.parent


def states(root: Path) -> list[str]:
    return sorted(run.state for run in list_runs(Workspace(root)))


def parts(selection: Selection) -> dict[str, Any]:
    member = selection.members[0]
    return find_run(selection, member, next(iter(selection.groups(member)))).parts


def test_another_pooling_is_of_the_same_run_and_embeds_anew(tmp_path: Path) -> None:
    tree = tmp_path / "root"
    write_tree(tree, seconds=1.3)
    plain = copied("arcface_ensemble", tmp_path / "1" / "same")
    other = copied(
        "arcface_ensemble", tmp_path / "2" / "same", "\nphases:", "\npooling: {name: quantile, quantile: 0.5}\nphases:"
    )
    one, pooled = (chosen(tree, recipe, members=["mobilefacenet_512"]) for recipe in (plain, other))
    embed.run(one)
    pieces = embed.load_embedded(one, "mobilefacenet_512", "SynPump").embeddings["embedding"]
    assert all(entry.fresh for entry in train.run(pooled))
    assert not any(entry.fresh for entry in embed.run(pooled))
    found = embed.load_embedded(pooled, "mobilefacenet_512", "SynPump").embeddings["embedding"]
    np.testing.assert_allclose(found, np.median(pieces, 1), rtol=1e-5, atol=1e-6)
    assert all(entry.fresh for entry in embed.run(pooled))


# --- another choice, another run ------------------------------------------------------------------------------------


def test_another_recipe_of_the_same_name_leaves_the_first_runs_weights(tree: Path, tmp_path: Path) -> None:
    one = copied("baseline_ae", tmp_path / "1" / "same")
    other = copied("baseline_ae", tmp_path / "2" / "same", "hidden: 16", "hidden: 12")
    train.run(chosen(tree, one))
    before = tree_bytes(tree / "runs")
    assert [entry.fresh for entry in train.run(chosen(tree, other))] == [False]
    after = tree_bytes(tree / "runs")
    assert before.items() <= after.items()
    assert len([name for name in after if name.endswith("weights.safetensors")]) == 2
    assert all(entry.fresh for recipe in (one, other) for entry in train.run(chosen(tree, recipe)))


def test_one_set_leaves_the_run_on_both(tree: Path, tmp_path: Path) -> None:
    """A network for all machines learns from other clips when one set is chosen."""
    joint = copied("baseline_ae", tmp_path / "joint", "scope: machine", "scope: all")
    train.run(chosen(tree, joint))
    before = tree_bytes(tree / "runs")
    train.run(chosen(tree, joint, ["SynFan"], set_name="dev"))
    assert before.items() <= tree_bytes(tree / "runs").items()
    assert [entry.fresh for entry in train.run(chosen(tree, joint))] == [True]


def test_another_version_of_asd_finds_the_same_run(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train.run(chosen(tree))
    monkeypatch.setattr(asdcli, "__version__", "9.9.9")
    assert [entry.fresh for entry in embed.run(chosen(tree))] == [False]
    assert [entry.fresh for entry in train.run(chosen(tree))] == [True]


def test_watching_and_cutting_for_embeddings_do_not_train_again(tree: Path, tmp_path: Path) -> None:
    base = copied("arcface_ensemble", tmp_path / "same")
    given: dict[str, Any] = {"recipe": base, "members": ["mobilefacenet_512"]}
    before = parts(chosen(tree, **given))
    path = base / "recipe.yaml"
    text = path.read_text()
    path.write_text(text + "\nwatch_clips: 6\n")
    assert parts(chosen(tree, **given)) == before
    assert "pieces: 10" in text
    path.write_text(text.replace("pieces: 10", "pieces: 7"))
    assert parts(chosen(tree, **given)) == before
    path.write_text(text.replace("largest: 0.5", "largest: 0.4"))
    assert {name for name, value in parts(chosen(tree, **given)).items() if value != before[name]} == {"recipe"}


def test_how_clips_are_cut_for_embeddings_counts_where_means_are_taken_of_them(tree: Path, tmp_path: Path) -> None:
    base = copied("dense_ae", tmp_path / "same")
    assert "standardise: value" in (base / "recipe.yaml").read_text()
    before = parts(chosen(tree, base))
    path = base / "recipe.yaml"
    path.write_text(path.read_text().replace("{name: frame_windows, ", "{name: frame_windows, embed_hop: 2, "))
    assert load_recipe(str(base)).resolve(member="ae").view.params.get("embed_hop") == 2
    assert parts(chosen(tree, base))["recipe"] != before["recipe"]


# --- what changes a value changes the run -----------------------------------------------------------------------------


def test_the_clusters_of_each_machine_count_where_a_phase_clusters_and_nowhere_else(tree: Path, tmp_path: Path) -> None:
    base = copied("aithu_2024", tmp_path / "same")
    given: dict[str, Any] = {"recipe": base, "members": ["beats_pse", "beats_lora"]}

    def found() -> dict[str, dict[str, Any]]:
        return {run.member: run.parts for run in find_runs(chosen(tree, **given))}

    before = found()
    assert set(before["beats_pse"]["clusters"].values()) == {"silhouette"}
    (base / "SynFan.yaml").write_text("members: {beats_pse: {clusters: 4}}\n")
    after = found()
    assert after["beats_pse"]["clusters"] == before["beats_pse"]["clusters"] | {"SynFan": 4}
    assert after["beats_lora"] == before["beats_lora"]


def test_keys_that_came_later_are_no_part_of_runs_that_do_not_use_them(tree: Path) -> None:
    recipe = parts(chosen(tree))["recipe"]
    assert not {"start", "cluster"} & recipe["phases"]["train"].keys()
    assert "branches" not in recipe["model"]
    assert "clusters" not in recipe


def test_another_weight_file_under_the_same_path_is_another_run(tree: Path, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    base = copied("padim", tmp_path / "same", "{weights: random, stride: 16", f"{{weights: {file}, stride: 16")
    torch.save({"x": torch.zeros(3)}, file)
    first = parts(chosen(tree, base, members=["random"]))["weights"]
    shutil.copy(file, tmp_path / "moved.pth")
    assert parts(chosen(tree, base, members=["random"]))["weights"] == first
    file.unlink()
    assert parts(chosen(tree, base, members=["random"]))["weights"] == first, "what was trained from it is found"
    torch.save({"x": torch.ones(3)}, file)
    assert parts(chosen(tree, base, members=["random"]))["weights"] != first


def test_edited_code_is_another_run_but_comments_are_not(tmp_path: Path) -> None:
    def digest(text: str) -> str:
        (tmp_path / "network.py").write_text(text)
        space: dict[str, Any] = {}
        exec(compile(text, tmp_path / "network.py", "exec"), space)
        components._file_digest.cache_clear()
        return components.code_digest({"net": space["net"]}, components.Component(name="net"))

    code = 'def net(x: int) -> int:\n    """Twice."""\n    return 2 * x\n'
    first = digest(code)
    assert (
        digest('"""A network."""\n\n' + code.replace("Twice", "Two times").replace("2 * x", "2 * x  # twice")) == first
    )
    assert digest(code.replace("2 * x", "3 * x")) != first


# --- asd runs -------------------------------------------------------------------------------------------------------


def test_runs_are_listed_with_why_they_are_not_fresh(tree: Path, tmp_path: Path) -> None:
    mine = copied("baseline_ae", tmp_path / "mine")
    train.run(chosen(tree, mine, ["SynPump", "SynFan"]))
    assert states(tree) == ["fresh", "fresh"]
    write_clip(next((tree / "data").rglob("SynFan/train/*.wav")), machine_sound(99, 200))
    text = (mine / "recipe.yaml").read_text()
    (fan,) = [run for run in list_runs(Workspace(tree)) if run.group == "SynFan"]
    assert (fan.state, fan.why) == ("stale", "the training clips are others")
    (mine / "recipe.yaml").write_text(text.replace("hidden: 16", "hidden: 12"))
    (pump,) = [run for run in list_runs(Workspace(tree)) if run.group == "SynPump"]
    assert (pump.state, pump.why) == ("stale", "the recipe says otherwise now")
    shutil.rmtree(mine)
    assert all(run.why.startswith(f"its recipe {mine} is gone") for run in list_runs(Workspace(tree)))


def test_runs_of_the_layout_before_and_half_runs_are_listed_and_left_alone(tree: Path) -> None:
    train.run(chosen(tree))
    (run,) = list_runs(Workspace(tree))
    old = run.path.parents[1] / "seed_7"
    shutil.copytree(run.path, old)
    (run.path / "made.json").unlink()
    assert states(tree) == ["older layout", "unfinished"]
    assert list(litter(Workspace(tree))) == []


def test_what_no_recipe_would_find_goes_and_nothing_else(tree: Path, tmp_path: Path) -> None:
    mine = copied("baseline_ae", tmp_path / "mine")
    embed.run(chosen(tree, mine, ["SynPump"]))
    embed.run(chosen(tree, "baseline_ae", ["SynFan"]))
    kept = {name for name in tree_bytes(tree) if "mine@smoke" not in name and "SynPump" not in name}
    shutil.rmtree(mine)
    shutil.rmtree(tree / "data" / "demo" / "eval_data" / "raw" / "SynPump")
    found = list(litter(Workspace(tree)))
    assert sorted(each.what for each in found) == ["embeddings", "run", "store"]
    freed = sum(each.bytes for each in found)
    before = sum(map(len, tree_bytes(tree).values()))
    for each in found:
        remove(Workspace(tree), each.path)
    assert before - sum(map(len, tree_bytes(tree).values())) == freed > 0
    assert kept <= set(tree_bytes(tree))
    assert list(litter(Workspace(tree))) == []


def test_a_root_that_is_named_otherwise_or_moved_holds_no_litter(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embed.run(chosen(tree))
    monkeypatch.chdir(tree.parent)
    assert list(litter(Workspace(Path(tree.name)))) == []
    moved = tree.rename(tree.parent / "moved")
    assert list(litter(Workspace(moved))) == []


def test_runs_and_stores_of_a_disk_that_is_unplugged_stay(tree: Path, tmp_path: Path) -> None:
    raw = tree / "data" / "demo" / "eval_data" / "raw"
    shutil.move(raw, tmp_path / "disk")
    raw.symlink_to(tmp_path / "disk")
    embed.run(chosen(tree))
    (tmp_path / "disk").rename(tmp_path / "elsewhere")
    (run,) = list_runs(Workspace(tree))
    assert (run.state, run.why) == ("no data", "no eval set of demo now")
    assert list(litter(Workspace(tree))) == []


def test_a_run_is_named_by_its_beginning(tree: Path) -> None:
    train.run(chosen(tree, machines=["SynPump", "SynFan"]))
    one, other = list_runs(Workspace(tree))
    assert find_listed(Workspace(tree), [one.run[:8], other.run]) == [one, other]
    with pytest.raises(UserError, match="There is no run 'zzz'"):
        find_listed(Workspace(tree), ["zzz"])
    with pytest.raises(UserError, match="2 runs begin with ''"):
        find_listed(Workspace(tree), [""])
