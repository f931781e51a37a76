"""`asd export --to onnx`: the file, run by onnxruntime, gives the scores of asd; and what is refused."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch
import yaml
from helpers import REPOSITORY, invoke, write_tree

from asdcli.audio.channels import mix
from asdcli.challenge.editions.edition import load_edition
from asdcli.download.link import link_tree
from asdcli.errors import UserError
from asdcli.recipe.loading import RECIPES
from asdcli.stages import train
from asdcli.stages.predicting import export, onnx_file, predict, threshold
from asdcli.stages.predicting.network import fewest_channels
from asdcli.stages.predicting.onnx_file import TOLERANCE
from asdcli.stages.predicting.threshold import Wish
from asdcli.stages.selection import Selection, select
from asdcli.training.tasks.task import AT_ONCE
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

SECONDS = 1.1
MACHINE, SECTION = "SynFan", "00"

# A network of the same kind, so small that it learns something in a moment: one that tells nothing apart is refused.
SMALL_NETWORK = {
    "name": "mobilefacenet",
    "stem": 8,
    "stages": [[2, 8, 1, 2], [2, 16, 1, 2]],
    "head": 16,
    "embedding": 0,
}
LEARNS = {"epochs": 8, "batch_size": 16, "augment": [], "optimizer": {"lr": 0.01}}
SMALLER: dict[str, dict[str, Any]] = {
    "mobileanonet": {
        "view": {"pool": 32, "per_clip": 2, "embed_hop": 2},
        "model": SMALL_NETWORK,
        "phases": {"train": LEARNS},
    },
    "arcface_ensemble": {
        "view": {"pieces": 2, "pool": 32},
        "model": SMALL_NETWORK,
        "phases": {"source": LEARNS, "target": {"steps": 2, "batch_size": 8, "augment": []}},
    },
}

LOOP = "soft_mahalanobis"  # the detector with which the graph is made to have a loop


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("exported")
    write_tree(root, train=8, test=1, seconds=SECONDS)
    return root


def chosen(root: Path, recipe: str, **options: Any) -> Selection:
    defaults = {"profile": "smoke", "machines": [MACHINE], "device": "cpu"}
    return select(Workspace(root), Ui(), recipe=recipe, **{**defaults, **options})


def trained(root: Path, recipe: str, **options: Any) -> Selection:
    selection = chosen(root, recipe, **options)
    train.run(selection)
    return selection


def smaller(folder: Path, recipe: str) -> str:
    """The recipe with a smoke profile in which its network learns something."""
    shutil.copytree(RECIPES / recipe, folder / recipe)
    path = folder / recipe / "recipe.yaml"
    written = yaml.safe_load(path.read_text())
    written["profiles"] = {"smoke": SMALLER[recipe]}
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    return str(folder / recipe)


def clips_of(root: Path) -> list[Path]:
    """Test clips of the section."""
    return sorted((root / "data" / "demo" / "dev_data" / "raw" / MACHINE / "test").glob(f"section_{SECTION}_*"))


def compare(path: Path, selection: Selection, clips: list[Path]) -> None:
    """Scores and decisions of the file are those of `asd predict`."""
    session = onnxruntime.InferenceSession(path)
    about = session.get_modelmeta().custom_metadata_map
    options = predict.Options(about["detector"], about["section"])
    listener = predict.Listener(predict.predictor_of(selection), torch.device("cpu"), options)
    limit = float(about["threshold"])
    for clip in clips:
        samples, _ = soundfile.read(clip, dtype="float32")
        (score,) = session.run(["score"], {"waveform": samples[None, : int(about["samples"])]})[0]
        heard = listener.hear(clip)
        assert score == pytest.approx(heard.whole.score, rel=TOLERANCE, abs=TOLERANCE)
        if abs(score - limit) > TOLERANCE * max(abs(limit), 1):
            assert (score > limit) == heard.alarm


@pytest.mark.parametrize(
    ("recipe", "member", "detector"),
    [
        ("baseline_ae", "ae", "mahalanobis"),
        pytest.param("mobileanonet", "both", "knn", marks=pytest.mark.slow),
        pytest.param("mobileanonet", "both", LOOP, marks=pytest.mark.slow),
        ("arcface_ensemble", "mobilefacenet_512", "cosine"),
    ],
)
def test_the_file_scores_as_asd_does(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str, member: str, detector: str
) -> None:
    if detector == LOOP:
        monkeypatch.setitem(AT_ONCE, "cpu", 1 << 10)  # more pieces than a network sees at once: the graph has a loop
    reference = smaller(tmp_path, recipe) if recipe in SMALLER else recipe
    selection = trained(root, reference, members=[member])
    made = onnx_file.of_selection(selection, tmp_path / "made" / "fan.onnx", detector, SECTION)
    assert max(made.score_error, made.embedding_error) < TOLERANCE
    assert (made.compared, made.bytes) == ("4 clips of the bank and noise", made.path.stat().st_size)
    content = made.path.read_bytes()
    assert b".py" not in content  # no places on the machine that it was made on
    assert (b"Scan" in content) == (detector == LOOP)
    compare(made.path, selection, clips_of(root))


def test_the_command_and_what_the_file_says(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the example of docs/onnx.md."""
    selection = trained(root, "mean_spectrum")
    threshold.run(selection, Wish("1 in 10", rate=0.1))
    mine = ("export", "--root", root, "--recipe", "mean_spectrum", "--profile", "smoke", "--machine", MACHINE)
    out = tmp_path / "fan.onnx"
    said = invoke(*mine, "--to", "onnx", "--section", SECTION, "--output", out)
    size = out.stat().st_size
    assert f"SynFan section 00 by mean_spectrum@smoke spectrum/mahalanobis, {size / 1e6:.1f} MB." in said
    assert "A network of 0 parameters" in said
    frames, mels = 35, 40  # what the spectrum takes, the mel filters and the covariance
    figure = frames * (1026 * 1024 + 513 * mels) + mels**2
    assert f"{figure / 1e6:,.1f} million multiply-accumulates for {SECONDS} s of sound" in said
    session = onnxruntime.InferenceSession(out)
    shapes = {one.name: one.shape for one in (*session.get_inputs(), *session.get_outputs())}
    assert shapes == {"waveform": [1, round(SECONDS * 16000)], "score": [1], "embedding": [1, mels]}
    about = session.get_modelmeta().custom_metadata_map
    predictor = predict.predictor_of(selection)
    assert (about["machine"], about["member"]) == (MACHINE, "spectrum")
    assert (about["samples"], about["sample_rate_hz"], about["channel"]) == ("17600", "16000", "0")
    assert json.loads(about["frontend"])["n_mels"] == mels
    assert (about["threshold_set"], float(about["false_alarm_rate"])) == ("1 in 10", pytest.approx(1 / 11))
    listener = predict.Listener(predictor, torch.device("cpu"), predict.Options(section=SECTION))
    assert float(about["threshold"]) == listener.threshold(SECTION)
    assert about["bank_sha256"] == hashlib.sha256((predictor.folder / "bank.npz").read_bytes()).hexdigest()
    assert about["run"][:12] == predictor.run.name
    assert {"asd", "torch", "onnx", "onnxruntime"} <= set(about)
    content = out.read_bytes()
    compare(out, selection, clips_of(root))

    with pytest.raises(UserError, match=r"fan\.onnx is there already"):
        invoke(*mine, "--to", "onnx", "--section", SECTION, "--output", out)
    assert out.read_bytes() == content
    with pytest.raises(UserError, match="Of which section"):
        invoke(*mine, "--to", "onnx", "--output", tmp_path / "other.onnx")
    with pytest.raises(UserError, match="A folder holds all detectors and sections"):
        invoke(*mine, "--section", SECTION, "--output", tmp_path / "box")

    monkeypatch.chdir(tmp_path)
    for clip in clips_of(root):
        if "anomaly" in clip.name:
            shutil.copy(clip, "clip.wav")
    (example,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "onnx.md").read_text(), re.DOTALL)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(example, {})
    assert re.fullmatch(r"[\d.]+ ALARM\n", printed.getvalue())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.wav", "fan.onnx"]


@pytest.mark.parametrize(
    ("recipe", "member", "detector", "said", "hint"),
    [
        ("mobileanonet", "both", "lof", "The detector lof has no form as an ONNX graph here", "--detector knn"),
        ("padim", "random", None, "The detector padim has no form", "--to folder"),
        ("frozen_encoder", "random", None, "The front end waveform has no form", "--to folder"),
        ("ssl_classifier", None, None, "The view transformed_pieces has no form", "--to folder"),
        ("baseline_ae", "ae", "msee", "Unknown detector of the recipe 'msee'. Did you mean 'mse'?", ""),
    ],
)
def test_refused_before_any_work(
    root: Path, tmp_path: Path, recipe: str, member: str | None, detector: str | None, said: str, hint: str
) -> None:
    selection = chosen(root, recipe, members=[member] if member else None)
    with pytest.raises(UserError, match=re.escape(said)) as refused:
        onnx_file.of_selection(selection, tmp_path / "x.onnx", detector, SECTION)
    assert refused.value.hint.startswith(hint)
    assert not list(tmp_path.iterdir())


def test_without_the_extra(root: Path, tmp_path: Path) -> None:
    blocked = "import sys; sys.modules.update(onnx=None, onnxruntime=None); from asdcli.cli.app import main; main()"
    mine = ("--recipe", "mean_spectrum", "--profile", "smoke", "--machine", MACHINE, "--output", "fan.onnx")
    command = [sys.executable, "-c", blocked, "export", "--to", "onnx", "--root", str(root), *mine]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "An ONNX file takes packages that are not installed: onnx, onnxruntime." in done.stderr
    assert "pip install 'asdcli[edge]'" in done.stderr
    assert not list(tmp_path.iterdir())


OWN = """
import numpy as np
from torch import nn

class Straight(nn.Module):
    def __init__(self, input_shape):
        super().__init__()
        self.embedding_size = input_shape[0] * input_shape[1]
    def forward(self, x):
        return x.flatten(1) * 0.5

class Turning(Straight):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else x.flatten(1)

class Mean:
    def fit(self, bank):
        self._own = self.score(bank.embeddings)
    def score_bank(self):
        return self._own
    def score(self, embeddings):
        return abs(embeddings["embedding"]).mean(1)

class Other(Mean):
    def score(self, embeddings):
        values = embeddings["embedding"]
        return values.mean(1) * (1 if isinstance(values, np.ndarray) else 1.001)

class Arrays(Mean):
    def score(self, embeddings):
        return np.linalg.norm(embeddings["embedding"], axis=1)
"""


def own_recipe(folder: Path, model: str, detector: str) -> str:
    """The mean spectrum with components of one's own."""
    shutil.copytree(RECIPES / "mean_spectrum", folder / "own")
    path = folder / "own" / "recipe.yaml"
    written = yaml.safe_load(path.read_text())
    written["model"], written["detectors"] = f"./own.py:{model}", {"own": {"name": f"./own.py:{detector}"}}
    path.write_text(yaml.safe_dump({**written, "systems": {}}, sort_keys=False))
    (folder / "own" / "own.py").write_text(OWN)
    return str(folder / "own")


@pytest.mark.parametrize(
    ("model", "detector", "said"),
    [
        ("Turning", "Mean", "cannot be written as an ONNX graph: "),
        ("Straight", "Arrays", "cannot be written as an ONNX graph: "),
        pytest.param("Straight", "Other", "scores by 0.001 and embeddings by", marks=pytest.mark.slow),
        pytest.param("Straight", "Mean", "", marks=pytest.mark.slow),
    ],
)
def test_components_of_ones_own_are_tried(root: Path, tmp_path: Path, model: str, detector: str, said: str) -> None:
    selection = trained(root, own_recipe(tmp_path, model, detector))
    out = tmp_path / "made" / "own.onnx"
    if said:
        with pytest.raises(UserError, match=said):
            onnx_file.of_selection(selection, out, None, SECTION)
        assert not out.parent.exists()
    else:
        onnx_file.of_selection(selection, out, None, SECTION)
        compare(out, selection, clips_of(root))


@pytest.mark.parametrize("channel", [0, 3, "mean", "difference"])
def test_silence_and_noise_have_the_channel_that_is_heard(channel: int | str) -> None:
    assert mix(np.zeros((5, fewest_channels(channel))), channel).shape == (5,)


@pytest.mark.slow
def test_an_export_from_a_folder_is_compared_on_noise(root: Path, tmp_path: Path) -> None:
    selection = trained(root, "mean_spectrum")
    export.run(predict.predictor_of(selection), tmp_path / "box")
    made = onnx_file.of_run(
        Workspace(tmp_path / "none"), Ui(), tmp_path / "box", None, tmp_path / "fan.onnx", None, SECTION
    )
    assert made.compared == "noise"
    compare(made.path, selection, clips_of(root))


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("machine", "section", "recipe", "detector"),
    [("slider", "00", "baseline_ae", "mahalanobis"), ("ToyCar", "01", "mean_spectrum", "mahalanobis")],
)
def test_real_clips(real_dir: Path, tmp_path: Path, machine: str, section: str, recipe: str, detector: str) -> None:
    """Of ToyCar, that is: features of the real clips, with synthetic phase."""
    raw, few = real_dir / "dcase2020" / "dev_data" / "raw" / machine, tmp_path / "few" / "raw" / machine
    for split, count in (("train", 12), ("test", 6)):
        clips = sorted((raw / split).glob(f"*_id_{section}_*.wav"))
        (few / split).mkdir(parents=True)
        for clip in clips[:: len(clips) // count]:
            (few / split / clip.name).symlink_to(clip)
    link_tree(Workspace(tmp_path / "root"), load_edition("dcase2020"), tmp_path / "few")
    selection = trained(tmp_path / "root", recipe, machines=[machine], data="dcase2020")
    made = onnx_file.of_selection(selection, tmp_path / "real.onnx", detector, section)
    compare(made.path, selection, sorted((few / "test").iterdir()))
