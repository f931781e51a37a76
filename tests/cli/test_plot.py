"""`asd plot` as users meet it: pictures, a table or a document, and mistakes."""

from __future__ import annotations

import io
import json
import struct
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers import invoke
from matplotlib.image import imread

from asdcli.cli.figures.curves import draw as draw_curves
from asdcli.errors import UserError
from asdcli.stages.looking.curves import Curves

CLIPS = ["SynFan/test/section_00_source_test_anomaly_0000_spd_1.wav", "section_01_target_train_normal_0001_spd_1.wav"]
PNG = b"\x89PNG\r\n\x1a\n"


def plot(tree: Path, *arguments: str | Path) -> str:
    chosen = ("--root", tree, "--recipe", "padim", "--profile", "smoke", "--device", "cpu", "--quiet")
    return invoke("plot", "map", *chosen, *arguments)


def test_figures_lie_under_the_root_and_the_document_says_where_and_what(tree: Path) -> None:
    document = json.loads(plot(tree, "--json", *CLIPS))
    assert (document["edition"], document["recipe"]) == ("demo", "padim@smoke")
    first, second = document["maps"]
    assert first["clip"] == CLIPS[0]
    assert second["clip"] == f"SynFan/train/{CLIPS[1]}"
    folder = tree / "plots" / "padim@smoke" / "demo" / "random" / "per_position" / "seed_0"
    assert Path(first["figure"]) == folder / CLIPS[0].replace("/", "_").replace(".wav", ".png")
    for found in (first, second):
        assert found["anomalous"] == (found["score"] > found["threshold"])
        assert 0 <= found["peak"]["hz"] <= 8000
        assert 0 <= found["peak"]["seconds"] <= 0.4
        assert found["peak"]["distance"] == found["score"]
        content = Path(found["figure"]).read_bytes()
        assert content.startswith(PNG)
        width, height = struct.unpack(">II", content[16:24])
        assert imread(io.BytesIO(content)).shape[:2] == (height, width)
    assert sorted(folder.iterdir()) == sorted(Path(found["figure"]) for found in (first, second))


def test_the_table_names_the_clip_the_verdict_and_the_file(tree: Path) -> None:
    shown = plot(tree, CLIPS[0], "--output", tree / "mine", "--detector", "per_band_mean")
    (file,) = (tree / "mine").iterdir()
    assert file.read_bytes().startswith(PNG)
    for words in ("random/per_band_mean", "anomaly_0000_spd_1.wav", "threshold", "Hz", str(file)):
        assert words in shown
    assert not (tree / "plots").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing.wav"], "No clip of demo is called 'nothing.wav'"),
        ([CLIPS[0], "--detector", "mse"], "Unknown detector of recipe padim 'mse'"),
        ([CLIPS[0], "--member", "imagnet"], "Unknown member of recipe padim 'imagnet'. Did you mean 'imagenet'?"),
        ([CLIPS[0], "--machine", "SynBearing"], "No clip of demo is called"),
    ],
)
def test_mistakes(tree: Path, arguments: list[str], says: str) -> None:
    with pytest.raises(UserError) as raised:
        plot(tree, *arguments)
    assert says in str(raised.value)


def test_a_recipe_whose_detectors_cannot_say_where_is_one_sentence(asd, tree: Path) -> None:
    done = asd("plot", "map", "any.wav", "--root", tree, "--recipe", "baseline_ae", code=2)
    assert "No detector of recipe baseline_ae can say where in a clip the anomaly is." in done.stderr
    assert "padim" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_clip_the_help_is_named(asd) -> None:
    done = asd("plot", "map", code=2)
    assert "Missing argument 'CLIP...'" in done.stderr
    assert "asd plot map --help" in done.stderr


def test_the_group_lists_its_figures(asd) -> None:
    assert "map" in asd("plot", "--help").stdout
    assert "--output" in asd("plot", "map", "--help").stdout


def test_help_draws_nothing(imported_by_asd) -> None:
    imported = imported_by_asd("plot", "map", "--help")
    assert "typer" in imported
    assert not imported & {"torch", "numpy", "matplotlib"}


# --- asd plot curves ------------------------------------------------------------------------------------------------


def test_curves_of_a_training(tree: Path, tmp_path: Path) -> None:
    chosen = ("--root", tree, "--recipe", "dense_ae", "--profile", "smoke", "--machine", "SynFan", "--quiet")
    invoke("train", *chosen, "--device", "cpu")
    (found,) = json.loads(invoke("plot", "curves", *chosen, "--json"))["curves"]
    assert (found["member"], found["machine"], found["epochs"]) == ("ae", "SynFan", 2)
    under_root = tree / "plots" / "dense_ae@smoke" / "demo" / "ae" / "seed_0" / "curves_ae_SynFan.png"
    assert Path(found["figure"]) == under_root
    shown = invoke("plot", "curves", *chosen, "--output", tmp_path / "mine")
    (file,) = (tmp_path / "mine").iterdir()
    assert file.read_bytes() == under_root.read_bytes()
    assert file.read_bytes().startswith(PNG)
    assert "separability" in shown
    assert str(file) in shown


def test_a_watched_training_has_a_second_panel(tmp_path: Path) -> None:
    epoch = {"phase": "train", "loss": 1.0}
    watched = {**epoch, "normal_loss": 1.0, "anomalous_loss": 1.5, "separability": 0.5, "auc": 0.7}
    heights = []
    for name, record in {"plain": epoch, "watched": watched}.items():
        heights.append(
            imread(io.BytesIO(draw_curves(Curves(name, "fan", [record, {**record, "phase": "two"}])))).shape[0]
        )
    assert heights[1] > heights[0]


# --- clusters ---------------------------------------------------------------------------------------------------------


def test_clips_by_the_classes_that_were_learnt_of_them(tree: Path) -> None:
    chosen = ("--root", tree, "--recipe", "frozen_encoder", "--profile", "smoke", "--member", "random", "--quiet")
    document = json.loads(invoke("plot", "clusters", *chosen, "--machine", "SynFan", "--json"))
    (found,) = document["clusters"]
    (figure,) = (tree / "plots" / "frozen_encoder@smoke" / "demo" / "random" / "seed_0").iterdir()
    assert figure == Path(found["figure"])
    assert figure.read_bytes().startswith(PNG)
    clips = list((tree / "data" / "demo" / "dev_data" / "raw" / "SynFan" / "train").glob("*.wav"))
    assert sum(found["classes"].values()) == len(clips)
    assert all(name.startswith("SynFan ") for name in found["classes"])
    assert -1 <= found["silhouette"] <= 1
    if find_spec("umap") is None:
        with pytest.raises(UserError, match="UMAP is not installed") as caught:
            invoke("plot", "clusters", *chosen, "--projection", "umap")
        assert "asdcli[plots]" in caught.value.hint
