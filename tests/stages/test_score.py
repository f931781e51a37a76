"""Scores that need to know the classes of training: the same numbers, whatever was trained together."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import machine_sound, write_clip, write_tree

from asdcli.challenge.editions.scorefiles import read_values
from asdcli.errors import UserError
from asdcli.recipe.loading import RECIPES
from asdcli.stages import embed, score, train
from asdcli.stages.features import ClipData
from asdcli.stages.selection import Selection, select
from asdcli.training.labels import CLASS
from asdcli.training.views.view import class_count
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

SECTIONS = {"dev": ("00", "02"), "eval": ("03", "05")}


def selection(root: Path, recipe: str = "baseline_mobilenetv2", **chosen: object) -> Selection:
    return select(Workspace(root), Ui(), recipe=recipe, profile="smoke", device="cpu", **chosen)  # type: ignore[arg-type]


def changed(folder: Path, old: str, new: str) -> str:
    """The path of a copy of the recipe with one thing changed."""
    shutil.copytree(RECIPES / "baseline_mobilenetv2", folder)
    text = (folder / "recipe.yaml").read_text()
    assert old in text
    (folder / "recipe.yaml").write_text(text.replace(old, new))
    return str(folder)


@pytest.fixture(scope="module")
def both_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two machines of 2022 with sections of both sets."""
    root = tmp_path_factory.mktemp("both")
    for set_name, sections in SECTIONS.items():
        for number, (machine, section) in enumerate((m, s) for m in ("bearing", "fan") for s in sections):
            folder = root / "data" / "dcase2022" / f"{set_name}_data" / "raw" / machine
            for index in range(4):
                sound = machine_sound(10 * number + index, 200 + 40 * number + 100 * (set_name == "eval"), seconds=0.8)
                write_clip(folder / "train" / f"section_{section}_source_train_normal_{index:04d}_a.wav", sound)
                dev = f"section_{section}_source_test_normal_{index:04d}_a.wav"
                hidden = f"section_{section}_{index:04d}.wav"
                write_clip(folder / "test" / (dev if set_name == "dev" else hidden), sound)
    return root


@pytest.mark.parametrize("scope", ["machine", "all"])
def test_classes_have_the_same_numbers_in_training_and_in_scoring(both_sets: Path, tmp_path: Path, scope: str) -> None:
    chosen = selection(both_sets, changed(tmp_path / scope, "scope: machine", f"scope: {scope}"))
    score.run(chosen)
    folder = score.score_folder(chosen, "mobilenetv2", "log_odds")
    for group, machines in chosen.groups("mobilenetv2").items():
        method = chosen.method("mobilenetv2", group if group in machines else None)
        data = ClipData(chosen, method, machines)
        view: Any = train.make_view(chosen, method, data, np.flatnonzero(data.clips.split == "train"))
        assert class_count(view) == 4 * (2 if scope == "all" else 1)
        trained = dict(
            zip(zip(view.clips.machine, view.clips.section, strict=True), view.labels[CLASS].tolist(), strict=True)
        )
        for (machine, section), number in trained.items():
            set_name = "dev" if section in SECTIONS["dev"] else "eval"
            clips, arrays = embed.load(embed.embedding_folder(chosen, "mobilenetv2", machine), set_name)
            for part, split in ((set_name, "test"), ("train", "train")):
                names, values = read_values(folder / part / f"anomaly_score_{machine}_section_{section}_test.csv")
                here = (clips.section == section) & (clips.split == split)
                assert names == [Path(path).name for path in clips.path[here]]
                np.testing.assert_allclose(values, arrays["log_odds"][here, number], rtol=1e-6)


def test_a_network_for_all_machines_does_not_depend_on_which_are_asked_for(both_sets: Path, tmp_path: Path) -> None:
    recipe = changed(tmp_path / "joint", "scope: machine", "scope: all")
    one = selection(both_sets, recipe, machines=["fan"])
    assert [entry.what for entry in score.run(one)] == ["mobilenetv2/log_odds fan"]
    everything = selection(both_sets, recipe)
    assert [entry.fresh for entry in train.run(everything)] == [True]
    assert {entry.what: entry.fresh for entry in score.run(everything)} == {
        "mobilenetv2/log_odds bearing": False,
        "mobilenetv2/log_odds fan": True,
    }


def test_the_classifier_of_the_baseline_scores_the_demo_machines(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write_tree(root, seconds=0.8)
    done = score.run(selection(root))
    assert {entry.what for entry in done} == {f"mobilenetv2/log_odds {m}" for m in ("SynBearing", "SynFan", "SynPump")}
    folder = score.score_folder(selection(root), "mobilenetv2", "log_odds")
    for part, count in (("dev", 3), ("eval", 1), ("train", 4)):
        files = sorted((folder / part).glob("anomaly_score_*.csv"))
        assert len(files) == count
        for path in files:
            names, values = read_values(path)
            assert len(names) == (8 if part == "train" else 16)
            assert np.isfinite(values).all()
            assert len(set(values.tolist())) > 1


def test_a_machine_of_one_class_is_told_to_the_user(tmp_path: Path) -> None:
    write_tree(tmp_path / "root", seconds=0.8)
    recipe = changed(tmp_path / "strict", "labels: [section, attributes, domain]", "labels: [section]")
    with pytest.raises(UserError, match="SynBearing: the training clips are of a single class by section") as raised:
        score.run(selection(tmp_path / "root", recipe, machines=["SynBearing"]))
    assert "labels:" in raised.value.hint
    assert len(score.run(selection(tmp_path / "root", recipe, machines=["SynFan"]))) == 1
