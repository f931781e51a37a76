"""The auto-encoders of the 2026 study: its settings, the experiment on pre-training, and the first losses of a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys
from helpers import none_published
from safetensors.torch import save_file
from torchvision.models import mobilenet_v2

from asdcli.audio.features import Features
from asdcli.audio.frontends import FRONTENDS
from asdcli.recipe.components import build
from asdcli.recipe.loading import load_recipe
from asdcli.recipe.schema import Method
from asdcli.stages.looking.describe import count_parameters
from asdcli.training.run import Trained, train
from asdcli.training.views.frame_windows import FrameWindows
from asdcli.ui import Ui

MEMBERS = [("dense_ae", "ae"), ("mobilenet_ae", "random"), ("mobilenet_ae", "imagenet")]


def settings(name: str, member: str, profile: str = "full") -> Method:
    return load_recipe(name).resolve(member=member, edition="dcase2026", profile=profile)


@pytest.mark.parametrize(("name", "member"), MEMBERS)
def test_both_share_the_front_end_and_the_channel_of_the_study(name: str, member: str) -> None:
    method = settings(name, member)
    double_db = {"n_fft": 1024, "hop_length": 512, "n_mels": 128, "f_max_hz": 8000, "power": 2, "scale_db": 20}
    assert (method.frontend.name, method.frontend.params) == ("logmel", double_db | {"floor": 1e-10})
    assert (method.scope, method.channel) == ("machine", "mean")


def test_the_dense_one_has_the_settings_of_the_study() -> None:
    method = settings("dense_ae", "ae")
    phase = method.phases["train"]
    assert count_parameters(method) == 1_006_112
    assert method.view.params == {"frames": 5, "hop": 1}
    assert (phase.epochs, phase.batch_size, phase.patience, phase.keep) == (50, 512, 5, "best")
    assert (phase.optimizer.name, phase.optimizer.params) == ("adam", {"lr": 0.001})
    assert phase.task.params == {"standardise": "value"}


@pytest.mark.parametrize("member", ["random", "imagenet"])
def test_the_convolutional_one_has_the_settings_of_the_study(member: str) -> None:
    method = settings("mobilenet_ae", member)
    phase = method.phases["train"]
    assert count_parameters(method) == 8_499_537
    assert method.view.params == {"frames": 64, "hop": 32}
    assert (phase.epochs, phase.batch_size, phase.patience, phase.keep) == (80, 128, 10, "best")
    assert (phase.optimizer.name, phase.optimizer.params) == ("adam", {"lr": 0.0003})
    assert (phase.schedule.name, phase.schedule.params) == ("cosine", {"stairs": 80})
    assert phase.task.params == {"standardise": "feature"}


@pytest.mark.parametrize(("name", "member"), MEMBERS)
def test_the_leak_of_the_study_is_a_profile_that_changes_nothing_else(name: str, member: str) -> None:
    plain, leaking = (settings(name, member, profile).model_dump() for profile in ("full", "leaking_split"))
    assert plain["phases"]["train"]["validation"] == {"fraction": 0.1, "unit": "clip", "pick": "random"}
    assert leaking["phases"]["train"]["validation"].pop("unit") == "window"
    del plain["phases"]["train"]["validation"]["unit"]
    assert plain == leaking


def test_the_members_differ_in_the_initial_weights_alone() -> None:
    random, imagenet = (settings("mobilenet_ae", member).model_dump() for member in ("random", "imagenet"))
    assert (random["model"].pop("weights"), imagenet["model"].pop("weights")) == ("random", "imagenet")
    assert random == imagenet


# --- training on a synthetic machine --------------------------------------------------------------------------------


def hum(seed: int, seconds: float = 4.0) -> np.ndarray:
    """A machine that turns a little unevenly, in noise, `[samples]` float32."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * 16_000)) / 16_000
    phase = 2 * np.pi * (180 + 10 * seed) * t + 0.5 * np.sin(2 * np.pi * 1.3 * t)
    tones = sum(np.sin(order * phase) / order for order in (1, 2, 5))
    return (0.1 * tones + 0.02 * rng.standard_normal(len(t))).astype(np.float32)


def train_on_hums(folder: Path, method: Method, **changes: Any) -> Trained:
    """The method's own front end, view, network, loss, optimiser and schedule on four clips."""
    whole: dict[str, Any] = {"epochs": None, "validation": None, "patience": None, "keep": "last"}
    phase = method.phases["train"].model_copy(update=whole | changes)
    method = method.model_copy(update={"phases": {"train": phase}})
    frontend = build(FRONTENDS, "front end", method.frontend)
    with torch.no_grad():
        frames = [frontend(torch.from_numpy(hum(seed))[None])[0].T.numpy() for seed in range(4)]
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in frames])])
    clips = toys.clips([len(part) for part in frames]).clips
    data = toys.Clips(clips, [Features(np.concatenate(frames), offsets, "key")])
    view = FrameWindows(data, np.arange(4), toys.CPU, **method.view.params)
    return train(
        method,
        view,
        folder,
        fingerprint="f",
        seed=0,
        device=toys.CPU,
        title="train",
        ui=Ui(),
        find_weights=none_published,
        labels=data.labels,
    )


@pytest.mark.parametrize(
    ("name", "member", "steps", "batch_size", "losses", "tolerance"),
    [
        ("dense_ae", "ae", 60, 61, [1.00163, 0.99897, 0.96604, 0.91505, 0.90179, 0.89325, 0.88472, 0.87505], 1e-3),
        ("mobilenet_ae", "random", 4, 8, [1.97062, 1.85708, 1.75406, 1.68585], 1e-2),
    ],
)
def test_the_first_losses_of_a_seed_stay_what_they_were(
    name: str, member: str, steps: int, batch_size: int, losses: list[float], tolerance: float, tmp_path: Path
) -> None:
    """Seen with torch 2.11. Other instruction sets and thread counts moved them by a third of the tolerance at most."""
    train_on_hums(tmp_path, settings(name, member), steps=steps, batch_size=batch_size)
    assert [record["loss"] for record in toys.log_of(tmp_path)] == pytest.approx(losses, rel=tolerance)


def test_the_member_imagenet_trains_from_a_local_copy_of_the_weights(tmp_path: Path) -> None:
    torch.manual_seed(11)
    start = mobilenet_v2(weights=None).state_dict()
    save_file(start, tmp_path / "mobilenet.safetensors")
    method = settings("mobilenet_ae", "imagenet")
    model = method.model.model_copy(update={"weights": str(tmp_path / "mobilenet.safetensors")})
    method = method.model_copy(update={"model": model})
    for steps in (0, 2):
        folder = tmp_path / str(steps)
        folder.mkdir()
        weights = train_on_hums(folder, method, steps=steps, batch_size=8).weights
        moved = weights["model.encoder.0.0.0.weight"] - start["features.0.0.weight"]
        # Two steps of Adam go about twice the rate each way, a new initialisation would be off by the weights' size.
        assert (moved == 0).all() if steps == 0 else 0 < moved.abs().max() < 4 * 0.0003
