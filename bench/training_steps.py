"""What the benchmarks of training share: clips of noise for any view, and steps of the loop and of the bare network."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asdcli.audio.clips import ClipTable
from asdcli.audio.endtoend import in_memory
from asdcli.audio.features import Features
from asdcli.audio.frontends import FRONTENDS
from asdcli.recipe.components import build
from asdcli.recipe.schema import Method
from asdcli.training.checkpoint import Checkpoint
from asdcli.training.labels import label_sets
from asdcli.training.loop import PhaseLoop
from asdcli.training.precision import bfloat16_network
from asdcli.training.run import build_task
from asdcli.training.runlog import RunLog
from asdcli.training.seeds import generator
from asdcli.training.tasks.task import Task, train_mode
from asdcli.training.views import VIEWS
from asdcli.training.views.view import Batch, View
from asdcli.ui import Progress

SAMPLES = 160_000  # of a clip: ten seconds at 16 kHz
UNMEASURED = {"validation": None, "patience": None, "keep": "last"}  # what a phase does besides its steps


class Noise:
    """Clips of noise as any view wants them; every hundredth is of the target domain, six classes come by turns, of two
    machines with an attribute.
    """

    def __init__(self, method: Method, clips: int) -> None:
        self.frontend = method.frontend
        self.seed = 0
        columns = {name: ["train"] * clips for name in ("path", "split")}
        columns["machine"] = [("fan", "pump")[row % 2] for row in range(clips)]
        columns["section"] = [f"{row % 6:02d}" for row in range(clips)]
        columns["domain"] = ["source" if row % 100 else "target" for row in range(clips)]
        self.clips = ClipTable.from_columns(
            columns | {"label": [0] * clips, "attributes": [{"spd": str(row % 3)} for row in range(clips)]}
        )
        self.labels = label_sets(self.clips, ["section"])

    @cached_property
    def features(self) -> list[Features]:
        frontend, clips = build(FRONTENDS, "front end", self.frontend), len(self.clips)
        frames = frontend.frames(SAMPLES)
        values = np.random.default_rng(0).standard_normal((clips * frames, frontend.n_features), dtype=np.float32)
        return [Features(values, np.arange(clips + 1) * frames, "")]

    together = staticmethod(in_memory)

    def waveforms(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        samples = np.random.default_rng(0).integers(-3000, 3000, len(rows) * SAMPLES, dtype=np.int16)
        return samples, np.full(len(rows), SAMPLES)


def view_of_noise(method: Method, clips: int, device: torch.device) -> View:
    """The method's view of clips of noise."""
    view: View = build(VIEWS, "view", method.view, Noise(method, clips), np.arange(clips), device)
    return view


class Unsaved(Checkpoint):
    """Writes nothing: saving may take two percent of the time of a training, but most of that of a few steps."""

    def __init__(self) -> None:
        super().__init__(Path(os.devnull), "")

    def due(self) -> bool:
        return False

    def save(self, state: dict[str, Any]) -> None:
        pass


def phase_loop(
    method: Method, name: str, view: View, device: torch.device, *, task: Task | None = None, **changes: Any
) -> PhaseLoop:
    """The loop of one phase with changes to it; a task with new weights where none is given."""
    phase = method.phases[name].model_copy(update=changes)
    task = task or build_task(method, name, view, device, seed=0)
    log = RunLog(Path(os.devnull))
    return PhaseLoop(name, phase, task, view, seed=0, device=device, checkpoint=Unsaved(), log=log)


def time_loop(
    method: Method, name: str, view: View, device: torch.device, steps: int, *, task: Task, **changes: Any
) -> float:
    """Seconds of these many steps of the loop, as it trains."""
    loop = phase_loop(method, name, view, device, task=task, epochs=None, steps=steps, **UNMEASURED | changes)
    return timed(device, lambda: loop.run(Progress()))


def time_network(
    method: Method, name: str, view: View, device: torch.device, steps: int, *, task: Task, **changes: Any
) -> float:
    """Seconds of these many times forward, backward and update by hand, all with the same batch."""
    loop = phase_loop(method, name, view, device, task=task, **UNMEASURED | changes)
    train_mode(task)
    examples = torch.arange(min(loop.phase.batch_size, len(view.clip)))
    batch = loop.make_batch(examples, generator("bench"), loop.training)
    return timed(device, lambda: bare_steps(loop, batch, steps))


def bare_steps(loop: PhaseLoop, batch: Batch, steps: int) -> None:
    half = loop.phase.precision == "bfloat16" and loop.device.type == "cuda"
    for _ in range(steps):
        with bfloat16_network(loop.task.model, loop.device) if half else nullcontext():
            loss = loop.task(batch, generator("bench"))["loss"]
        loss.backward()
        loop.optimizer.step()
        loop.optimizer.zero_grad(set_to_none=True)


def clips_per_step(loop: PhaseLoop) -> float:
    """How many clips' worth of examples a batch holds."""
    return loop.phase.batch_size * len(loop.view.clips) / len(loop.view.clip)


def timed(device: torch.device, work: Callable[[], None]) -> float:
    """Seconds that the work takes on the device, start to end."""
    wait_for(device)
    began = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - began


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
