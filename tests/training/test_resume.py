"""A run that was stopped anywhere and started again ends as if it had never stopped, to the last bit."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import toys
from torch import Tensor, nn

from asdcli.nn.backbones import BACKBONES
from asdcli.recipe.loading import load_recipe
from asdcli.recipe.schema import Method
from asdcli.training.checkpoint import Checkpoint
from asdcli.training.labels import label_sets
from asdcli.training.tasks import TASKS
from asdcli.training.tasks.task import Task
from asdcli.training.views.view import View

VALIDATION = {"fraction": 0.25}
EASY = toys.phase(epochs=3)
METHODS: dict[str, Method] = {
    "epochs": toys.method(EASY, model="noisy"),
    "steps": toys.method(toys.phase(steps=11, validation=VALIDATION), model="noisy"),
    "accumulate": toys.method(
        toys.phase(
            epochs=2,
            batch_size=5,  # 24 windows: the last batch of an epoch is smaller, and updates reach across epochs
            accumulate=3,
            schedule={"name": "cosine", "warmup": 1},
            optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.9},
        ),
        model="noisy",
    ),
    "best and patience": toys.method(
        toys.phase(epochs=6, keep="best", patience=1, validation=VALIDATION, optimizer={"name": "adam", "lr": 0.3}),
        model="noisy",
    ),
    "two phases": toys.method(
        toys.phase(epochs=2, keep="best", validation=VALIDATION, batch_size=8),
        toys.phase(steps=5, batch_size=8, accumulate=2, freeze=("model.encoder.*",), gradient_clip_norm=0.1),
        model="noisy",
    ),
}


class StoppedError(Exception):
    """Stands for a kill: nothing of the code sees it coming."""


class Fuse:
    """Counts forward passes of all tasks and stops the run at one of them."""

    def __init__(self) -> None:
        self.burnt, self.at = 0, math.inf

    def burn(self) -> None:
        self.burnt += 1
        if self.burnt > self.at:
            raise StoppedError


@pytest.fixture
def fuse(monkeypatch: pytest.MonkeyPatch) -> Fuse:
    fuse = Fuse()

    class Fused(toys.Drawing):
        def forward(self, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
            fuse.burn()
            return super().forward(batch, generator)

    monkeypatch.setitem(TASKS, "reconstruction", Fused)
    monkeypatch.setitem(BACKBONES, "noisy", toys.Noisy)
    return fuse


def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save wherever a run may be resumed from."""
    monkeypatch.setattr(Checkpoint, "due", lambda checkpoint: True)


def result(folder: Path, weights: dict[str, Tensor]) -> dict[str, Any]:
    """All that a run leaves: weights, log, and in the last checkpoint its optimiser and position."""
    saved = Checkpoint(folder / "checkpoint.pt", "f").load()
    return {"weights": weights, "log": toys.log_of(folder), "checkpoint": saved | {"log_size": None}}


LONGEST = "best and patience"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == LONGEST else ()) for name in METHODS]
)
def test_stopped_at_any_forward_pass(name: str, tmp_path: Path, fuse: Fuse, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = result(tmp_path / "a", toys.train_all(tmp_path / "a", METHODS[name]))  # without checkpoints on the way
    total = fuse.burnt
    eager(monkeypatch)
    for at in range(total):
        folder = tmp_path / f"stopped at {at}"
        fuse.burnt, fuse.at = 0, at
        with pytest.raises(StoppedError):
            toys.train_all(folder, METHODS[name])
        fuse.at = math.inf
        again = result(folder, toys.train_all(folder, METHODS[name]))
        assert toys.same(again, whole), at
        assert fuse.burnt - at - 1 < total or at < METHODS[name].phases["phase1"].accumulate  # it did not start anew
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", METHODS)
def test_stopped_again_and_again(name: str, tmp_path: Path, fuse: Fuse, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = result(tmp_path / "a", toys.train_all(tmp_path / "a", METHODS[name]))
    eager(monkeypatch)
    for attempt in range(100):
        fuse.burnt, fuse.at = 0, 4 + attempt % 3
        try:
            weights = toys.train_all(tmp_path / "b", METHODS[name])
        except StoppedError:
            continue
        break
    assert attempt > 1
    assert toys.same(result(tmp_path / "b", weights), whole)


class SmallNet(nn.Module):
    """An embedding of pieces with batch norm, under names like those of the ensemble's networks."""

    def __init__(self, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 6)
        self.embedding_size = 6

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem(x.unsqueeze(1)).mean((2, 3)))


def recipe_of_a_small_net(name: str, member: str, phases: dict[str, dict[str, Any]]) -> Method:
    """A shipped recipe with a small network and short phases."""
    recipe = load_recipe(name).resolve(member=member).model_dump(mode="json")
    for phase, changes in phases.items():
        recipe["phases"][phase] |= changes
    return Method.model_validate(recipe | {"model": "small"})


def stopped_at_every_other_step(
    tmp_path: Path, chosen: Method, view: View, tasks: list[str], monkeypatch: pytest.MonkeyPatch, **others: Any
) -> dict[str, Any]:
    """Stop a training again and again, each time elsewhere, and hold what it ends with to what one undisturbed does.

    tasks: those of its phases. Returns what the undisturbed one leaves.
    """
    fuse = Fuse()

    def fused(task: type[Task]) -> type[Task]:
        class Fused(task):  # type: ignore[misc, valid-type]
            def forward(self, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
                fuse.burn()
                return super().forward(batch, generator)

        return Fused

    for name in tasks:
        monkeypatch.setitem(TASKS, name, fused(TASKS[name]))  # type: ignore[arg-type]
    monkeypatch.setitem(BACKBONES, "small", SmallNet)
    whole = result(tmp_path / "a", toys.train_all(tmp_path / "a", chosen, view, **others))
    eager(monkeypatch)
    for at in range(1, fuse.burnt, 2):
        folder = tmp_path / str(at)
        fuse.burnt, fuse.at = 0, at
        with pytest.raises(StoppedError):
            toys.train_all(folder, chosen, view, **others)
        fuse.at = math.inf
        assert toys.same(result(folder, toys.train_all(folder, chosen, view, **others)), whole), at
    return whole


def test_the_arcface_ensemble_in_each_of_its_phases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waveform mixup, random pieces, frozen batch norms, and batches of one target class: stopped in either phase."""
    overlay = {
        "source": {"epochs": 3, "batch_size": 5},
        "target": {"steps": 5, "batch_size": 5, "freeze": ["model.stem.*"]},
    }
    chosen = recipe_of_a_small_net("arcface_ensemble", "mobilefacenet_512", overlay)
    whole = stopped_at_every_other_step(tmp_path, chosen, toys.pieces(), ["arcface"], monkeypatch)
    assert [entry["phase"] for entry in whole["log"]] == ["source"] * 3 + ["target"]


def test_data_that_are_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches made a step ahead, in another thread: the same weights as of data in memory, wherever it is stopped."""
    chosen = recipe_of_a_small_net("arcface_ensemble", "mobilefacenet_512", {"source": {"epochs": 2, "batch_size": 5}})
    chosen = chosen.model_copy(update={"phases": {"source": chosen.phases["source"]}})
    in_memory = toys.pieces()
    streamed = toys.pieces(toys.InFile(toys.sounds([640 + 8 * index for index in range(24)]), tmp_path / "store"))
    assert streamed.streamed
    whole = stopped_at_every_other_step(tmp_path, chosen, streamed, ["arcface"], monkeypatch)
    held = result(tmp_path / "held", toys.train_all(tmp_path / "held", chosen, in_memory))
    assert toys.same(held, whole)
    assert not list((tmp_path / "store").iterdir())


def test_mobileanonet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Running averages of heads that saw few clips, places drawn once, a rate that falls from epoch to epoch."""
    chosen = recipe_of_a_small_net("mobileanonet", "both", {"train": {"epochs": 3, "batch_size": 7}})
    known = ({"spd": "1"}, {"pat": "A"}, {"spd": "2"}, {"pat": "B"}, {})
    data = toys.sounds([700] * 10, machines=("fan", "valve"), attributes=known)
    pieces = toys.pieces(data, per_clip=2, redraw=False)
    whole = stopped_at_every_other_step(tmp_path, chosen, pieces, ["machine_conditions"], monkeypatch)
    assert "accuracy fan spd" in whole["log"][0]
    assert [entry["lr"] for entry in whole["log"]] == pytest.approx([0.001, 0.0008, 0.00064])


def test_vicreg_mixup_in_each_of_its_phases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LARS and its warm-up, mixtures of features with their parts, a classifier on the network that was pre-trained."""
    narrow = {"name": "vicreg_mixup", "expand_to": 16}
    overlay = {
        "pretrain": {"task": narrow, "epochs": 3, "batch_size": 8},
        "finetune": {"epochs": 2, "batch_size": 8},
    }
    chosen = recipe_of_a_small_net("vicreg_mixup", "pretrained", overlay)
    tasks = ["vicreg_mixup", "mixed_softmax"]
    whole = stopped_at_every_other_step(tmp_path, chosen, toys.pieces(), tasks, monkeypatch)
    assert [entry["phase"] for entry in whole["log"]] == ["pretrain"] * 3 + ["finetune"] * 2


def test_aithu_2024_between_its_pseudo_attributes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes that a run has made of its own embeddings, and a phase that starts from the initial weights again."""
    overlay: dict[str, Any] = {
        phase: {"steps": 6, "batch_size": 6, "accumulate": 2, "schedule": {"name": "cosine", "warmup": 1}}
        for phase in ("train", "again")
    }
    chosen = recipe_of_a_small_net("aithu_2024", "beats_pse", overlay)
    view = toys.pieces(
        toys.sounds([700] * 18, machines=("fan", "valve"), attributes=({"spd": "1"}, {}, {"spd": "2"}, {}))
    )
    given = {"labels": label_sets(view.clips, ["attributes"]), "clusters": {"fan": 9, "valve": 3}}
    whole = stopped_at_every_other_step(tmp_path, chosen, view, ["arcface"], monkeypatch, **given)
    assert [entry["phase"] for entry in whole["log"]] == ["train", "train", "again", "again"]
    told = view.labels.classes().told
    assert set(told) == set(view.clips.path[view.clips.machine == "valve"].tolist())
    assert {name.rpartition(" cluster ")[2] for name in told.values()} == {"1", "2", "3"}
    assert len(whole["weights"]["arcface.weight"]) == 2 + 3  # fan's two speeds, and the clusters


def checkpoints_on_the_way(folder: Path, chosen: Method, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The checkpoint as it stands on disk after each save."""
    found: list[bytes] = []
    save = Checkpoint.save

    def keep(checkpoint: Checkpoint, state: dict[str, Any]) -> None:
        save(checkpoint, state)
        found.append(checkpoint.path.read_bytes())

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", keep)
        toys.train_all(folder, chosen)
    return found


def test_a_log_that_is_ahead_of_its_checkpoint(tmp_path: Path, fuse: Fuse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the log's line and the checkpoint after it: the epoch must not stand twice."""
    chosen = METHODS["two phases"]
    eager(monkeypatch)
    whole = result(tmp_path / "a", toys.train_all(tmp_path / "a", chosen))
    on_the_way = checkpoints_on_the_way(tmp_path / "b", chosen, monkeypatch)
    log = (tmp_path / "b" / "log.jsonl").read_bytes()
    assert len(on_the_way) > 5
    for number, checkpoint in enumerate(on_the_way):
        folder = tmp_path / f"c{number}"
        folder.mkdir()
        (folder / "checkpoint.pt").write_bytes(checkpoint)
        (folder / "log.jsonl").write_bytes(log + b'{"half a li')
        assert toys.same(result(folder, toys.train_all(folder, chosen)), whole)


def test_a_finished_run_is_not_trained_again(tmp_path: Path, fuse: Fuse) -> None:
    chosen = METHODS["best and patience"]
    whole = toys.train_all(tmp_path, chosen)
    before = fuse.burnt
    assert toys.same(toys.train_all(tmp_path, chosen), whole)
    assert fuse.burnt == before
    assert len(toys.log_of(tmp_path)) >= 2


@pytest.mark.parametrize("damage", ["other fingerprint", "truncated", "garbage", "zeros", "empty"])
def test_without_a_usable_checkpoint_a_run_starts_anew(
    damage: str, tmp_path: Path, fuse: Fuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = METHODS["epochs"]
    whole = result(tmp_path / "a", toys.train_all(tmp_path / "a", chosen))
    eager(monkeypatch)
    total, fuse.burnt, fuse.at = fuse.burnt, 0, 8
    with pytest.raises(StoppedError):
        toys.train_all(tmp_path / "b", chosen)
    path = tmp_path / "b" / "checkpoint.pt"
    content = path.read_bytes()
    if damage == "other fingerprint":
        Checkpoint(path, "other").save(Checkpoint(path, "f").load())
    else:
        spoilt = {"truncated": content[: len(content) // 2], "garbage": b"garbage" * 99, "zeros": bytes(len(content))}
        path.write_bytes(spoilt.get(damage, b""))
    fuse.burnt, fuse.at = 0, math.inf
    assert toys.same(result(tmp_path / "b", toys.train_all(tmp_path / "b", chosen)), whole)
    assert fuse.burnt == total
