"""Small real parts for tests of training: clips as arrays of frames, networks with and without dropout, a method."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from helpers import none_published
from torch import Tensor, nn

from asdcli.audio.clips import ClipTable
from asdcli.audio.endtoend import in_file, in_memory
from asdcli.audio.features import Features
from asdcli.recipe.components import Component
from asdcli.recipe.schema import Method, Phase
from asdcli.training.augments.mixup import Mixup
from asdcli.training.checkpoint import Checkpoint
from asdcli.training.labels import CLASS, LabelSets, label_sets
from asdcli.training.loop import PhaseLoop
from asdcli.training.run import train
from asdcli.training.runlog import RunLog
from asdcli.training.seeds import generator
from asdcli.training.tasks.reconstruction import Reconstruction
from asdcli.training.tasks.task import Task
from asdcli.training.views.frame_windows import FrameWindows
from asdcli.training.views.view import Batch, Mixed, View
from asdcli.training.views.waveform_pieces import WaveformPieces
from asdcli.ui import Progress, Ui

CPU = torch.device("cpu")
FEATURES = 3
SHORT_STFT = Component.model_validate({"name": "stft", "n_fft": 64, "hop_length": 32})


@dataclass(frozen=True)
class Clips:
    """What a view draws from; sections are its classes, and one section is as much an error as in real data."""

    clips: ClipTable
    features: list[Features]
    seed: int = 0
    together = staticmethod(in_memory)

    @property
    def labels(self) -> LabelSets:
        return label_sets(self.clips, ["section"])


def clips(
    frames: list[int],
    domains: list[str] | None = None,
    stores: int = 1,
    seed: int = 0,
    sections: tuple[str, ...] = ("00",),
) -> Clips:
    """Clips of these many frames of random features, spread over a number of stores, their sections by turns."""
    count = len(frames)
    rng = np.random.default_rng(seed)
    table = ClipTable.from_columns(
        {
            "path": [f"fan/train/{index}.wav" for index in range(count)],
            "machine": ["fan"] * count,
            "section": [sections[index % len(sections)] for index in range(count)],
            "domain": domains or ["source"] * count,
            "split": ["train"] * count,
            "label": [0] * count,
            "attributes": [{}] * count,
        }
    )
    features = []
    for part in np.array_split(np.array(frames), stores):
        offsets = np.concatenate([[0], np.cumsum(part)]).astype(np.int64)
        values = rng.standard_normal((int(offsets[-1]), FEATURES)).astype(np.float32)
        features.append(Features(values, offsets, "key"))
    return Clips(table, features)


def view(data: Clips | None = None, frames: int = 2, hop: int = 2, **params: Any) -> FrameWindows:
    """Windows of two frames; by default eight clips with three windows each."""
    data = data or clips([6] * 8)
    return FrameWindows(data, np.arange(len(data.clips)), CPU, frames=frames, hop=hop, **params)


@dataclass(frozen=True)
class Sounds:
    """What a view of waveforms draws from: clips of noise, every other one of section 01 and of the target domain."""

    clips: ClipTable
    samples: list[np.ndarray]
    frontend: Component = SHORT_STFT
    seed: int = 0

    @property
    def labels(self) -> LabelSets:
        return label_sets(self.clips, ["section"])

    def waveforms(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen = [self.samples[row] for row in rows]
        return np.concatenate(chosen), np.array([len(part) for part in chosen])


def sounds(
    lengths: list[int],
    seed: int = 0,
    machines: tuple[str, ...] = ("fan",),
    attributes: tuple[dict[str, str], ...] = ({},),
) -> Sounds:
    """Clips of noise with these many samples, their machines and attributes by turns."""
    rng = np.random.default_rng(seed)
    count = len(lengths)
    table = ClipTable.from_columns(
        {
            "path": [f"fan/train/{index}.wav" for index in range(count)],
            "machine": [machines[index % len(machines)] for index in range(count)],
            "section": [f"{index % 2:02d}" for index in range(count)],
            "domain": ["target" if index % 4 > 1 else "source" for index in range(count)],
            "split": ["train"] * count,
            "label": [0] * count,
            "attributes": [attributes[index % len(attributes)] for index in range(count)],
        }
    )
    return Sounds(table, [rng.integers(-3000, 3000, n).astype(np.int16) for n in lengths])


class InFile:
    """Data whose arrays lie in a file, as where memory is too small for them."""

    def __init__(self, data: Clips | Sounds, folder: Path) -> None:
        self._data, self._folder = data, folder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def together(self, *whole: Any) -> np.ndarray:
        return in_file(*whole, self._folder)

    def waveforms(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        samples, lengths = self._data.waveforms(rows)  # type: ignore[union-attr]
        return self.together([samples], samples.shape, samples.dtype), lengths


def pieces(data: Sounds | InFile | None = None, **params: Any) -> WaveformPieces:
    """Pieces of eight frames; by default 24 clips of 20 frames or a little more."""
    data = data or sounds([640 + 8 * index for index in range(24)])
    return WaveformPieces(data, np.arange(len(data.clips)), CPU, **{"frames": 8, "pieces": 3, **params})


class Linear(nn.Module):
    """The smallest network that learns; without batch norm or dropout."""

    def __init__(self, input_shape: tuple[int, ...], *, width: int = 2) -> None:
        super().__init__()
        size = input_shape[0] * input_shape[1]
        self.encoder = nn.Linear(size, width)
        self.decoder = nn.Linear(width, size)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x.flatten(1))).view_as(x)


class Noisy(Linear):
    """With all that makes an exact resume hard: batch norm, dropout, and noise of its own."""

    def __init__(self, input_shape: tuple[int, ...], *, width: int = 2) -> None:
        super().__init__(input_shape, width=width)
        self.encoder = nn.Sequential(self.encoder, nn.BatchNorm1d(width), nn.Dropout(0.3))  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + 0.1 * torch.rand_like(x))  # the global generator, in evaluation too


class Drawing(Reconstruction):
    """Draws from the generator that the loop hands over, and logs a second figure."""

    def forward(self, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
        losses = super().forward(batch, generator)
        draw = torch.rand((), generator=generator)
        return {"loss": losses["loss"] * (1 + 0.1 * draw), "draw": draw}


def phase(**changes: Any) -> Phase:
    plain: dict[str, Any] = {
        "task": "reconstruction",
        "epochs": 3,
        "batch_size": 4,
        "optimizer": {"name": "adam", "lr": 0.01},
    }
    if "steps" in changes:
        del plain["epochs"]
    return Phase.model_validate(plain | changes)


def method(*phases: Phase, model: str = "linear") -> Method:
    """A method of these phases; its front end and detectors are not used here."""
    return Method.model_validate(
        {
            "channel": 0,
            "frontend": "logmel",
            "view": {"name": "frame_windows"},
            "model": model,
            "phases": {f"phase{number}": one for number, one in enumerate(phases, start=1)},
            "detectors": {"mse": "mse"},
        }
    )


def task(model: type[nn.Module] = Linear, kind: type[Task] = Reconstruction, seed: int = 0, **params: Any) -> Task:
    torch.manual_seed(seed)
    return kind(model((2, FEATURES), **params), view())


def loop(folder: Path, one: Phase, own: Task, data: View | None = None, seed: int = 0) -> PhaseLoop:
    """A loop as `train` makes it, for tests that look at one phase."""
    folder.mkdir(exist_ok=True)
    checkpoint, log = Checkpoint(folder / "checkpoint.pt", "f"), RunLog(folder / "log.jsonl")
    return PhaseLoop("phase1", one, own, data or view(), seed=seed, device=CPU, checkpoint=checkpoint, log=log)


def run(folder: Path, one: Phase, own: Task | None = None, data: View | None = None, seed: int = 0) -> Task:
    """Train one phase to its end; returns the task with its final weights."""
    own = own or task()
    loop(folder, one, own, data, seed).run(Progress())
    return own


def train_all(
    folder: Path, chosen: Method, data: View | None = None, seed: int = 0, **others: Any
) -> dict[str, Tensor]:
    options: dict[str, Any] = {"fingerprint": "f", "seed": seed, "device": CPU, "title": "train", "ui": Ui()}
    options |= {"find_weights": none_published, "labels": LabelSets({})}
    return train(chosen, data or view(), folder, **options | others).weights


def embedded(task: Task, examples: Tensor) -> dict[str, Tensor]:
    """What a task makes of one clip, from all of its examples."""
    return {name: values[0] for name, values in task.embed(examples, [len(examples)]).items()}


def mixed_batch(view: View, examples: Tensor) -> Batch:
    """Examples of a view, with others of another class mixed in where it has waveforms."""
    if not getattr(view, "mixes_waveforms", False):
        return view.batch(examples, generator("test"))
    return Mixup(view)(view.batch, torch.arange(len(view.clip)), examples, generator("test"))


def mixed(label: Tensor, rate: Tensor) -> Mixed:
    """Partners of these classes, at these shares."""
    return Mixed(torch.zeros(len(label)), {CLASS: label}, rate)


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The records of a run without what depends on the clock."""
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in record.items() if key not in ("seconds", "clips_per_s")} for record in records
    ]


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit, through nested dicts and lists."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
