"""The training loop against the bare network: the same batches through forward, backward and update by hand.

python bench/train.py [recipe] [member] [steps] [threads]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from asdcli.audio.clips import ClipTable
from asdcli.audio.features import Features
from asdcli.recipe.components import build
from asdcli.recipe.loading import load_recipe
from asdcli.recipe.schema import Method
from asdcli.training.checkpoint import Checkpoint, RunLog
from asdcli.training.loop import PhaseLoop
from asdcli.training.run import build_task
from asdcli.training.seeds import generator
from asdcli.training.views import VIEWS
from asdcli.ui import Progress

CLIPS, SECONDS = 200, 10


def main(recipe: str = "baseline_ae", member: str = "ae", steps: int = 600, threads: int = 1) -> None:
    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    method = load_recipe(recipe).resolve(member=member)
    name, phase = next(iter(method.phases.items()))
    phase = phase.model_copy(update={"epochs": None, "steps": steps, "validation": None, "clips": "all"})
    view = build(VIEWS, "view", method.view, noise(method), np.arange(CLIPS), device)

    with tempfile.TemporaryDirectory() as folder:
        task = build_task(method, name, view, device, seed=0)
        checkpoint, log = Checkpoint(Path(folder) / "checkpoint.pt", ""), RunLog(Path(folder) / "log.jsonl")
        loop = PhaseLoop(name, phase, task, view, seed=0, device=device, checkpoint=checkpoint, log=log)
        seconds = timed(device, lambda: loop.run(Progress()))

    task = build_task(method, name, view, device, seed=0).train()
    batch = view.batch(torch.arange(phase.batch_size), generator("bench"))

    def bare() -> None:
        for _ in range(steps):
            task(batch, generator("bench"))["loss"].backward()
            loop.optimizer.step()
            task.zero_grad(set_to_none=True)

    alone = timed(device, bare)
    clips_per_step = phase.batch_size * CLIPS / len(view.clip)
    print(f"{recipe} {member} on {device.type}, {threads} threads, batch {phase.batch_size}, {steps} steps")
    print(f"loop         {1e3 * seconds / steps:8.2f} ms/step  {clips_per_step * steps / seconds:7.1f} clips/s")
    print(f"network only {1e3 * alone / steps:8.2f} ms/step")
    print(f"share of the loop that is not the network: {100 * (1 - alone / seconds):.0f} %")


def noise(method: Method) -> SimpleNamespace:
    """Clips of noise as any view wants them."""
    columns = {name: ["train"] * CLIPS for name in ("path", "machine", "section", "domain", "split")}
    table = ClipTable.from_columns(columns | {"label": [0] * CLIPS, "attributes": [{}] * CLIPS})
    rng, frames, samples = np.random.default_rng(0), 313, 16_000 * SECONDS
    values = rng.standard_normal((CLIPS * frames, 128), dtype=np.float32)
    waves = rng.integers(-3000, 3000, CLIPS * samples, dtype=np.int16)
    return SimpleNamespace(
        clips=table,
        features=[Features(values, np.arange(CLIPS + 1) * frames, "")],
        frontend=method.frontend,
        labels=np.arange(CLIPS) % 6,
        classes=list("012345"),
        waveforms=lambda rows: (waves, np.full(len(rows), samples)),
    )


def timed(device: torch.device, work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


if __name__ == "__main__":
    text, numbers = sys.argv[1:3], [int(argument) for argument in sys.argv[3:]]
    main(*text, *numbers)
