"""What of a training step is not the network: each phase of each recipe at full width and its own batch size.

python bench/train.py [--recipe NAME ...] [--threads 1] [--seconds 4]

On the CPU, on clips of noise. The loop trains as it does, and the time spent in forward, backward and update is
taken from that of the same steps, in CPU time; members that have view, network and phase in common are one row.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from torch.utils.data import DataLoader, Dataset
from training_steps import clips_per_step, phase_loop, view_of_noise

from asdcli.recipe.loading import load_recipe, recipe_names
from asdcli.recipe.schema import Method
from asdcli.training.loop import PhaseLoop
from asdcli.training.seeds import generator
from asdcli.training.views.frame_windows import FrameWindows
from asdcli.training.views.view import Batch
from asdcli.ui import Progress

CLIPS = 240  # five batches of 48
MOST_STEPS = 400
CPU = torch.device("cpu")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", nargs="+", default=recipe_names())
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4, help="how long to measure a phase, beyond its first step")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    print("| recipe | phase | batch | ms per step | clips/s | not the network |\n|---|---|---|---|---|---|")
    for title, phase, method in phases(options.recipe):
        found = measured(method, phase, options.seconds)
        figures = f"{found.batch} | {1e3 * found.seconds:.3g} | {found.clips_per_s:.3g} | {100 * found.outside:.1f} %"
        print(f"| {title} | {phase} | {figures} |", flush=True)


def phases(recipes: list[str]) -> Iterator[tuple[str, str, Method]]:
    """Recipe with member, phase, method: each that has something to train and is not the same as one before."""
    for recipe in map(load_recipe, recipes):
        seen = set()
        for member in recipe.members(None):
            method = recipe.resolve(member=member)
            for name, phase in method.phases.items():
                costs = json.dumps([part.model_dump(mode="json") for part in (method.view, method.model, phase)])
                if phase.steps != 0 and costs not in seen:
                    seen.add(costs)
                    yield f"`{recipe.name}` {member}", name, method


@dataclass(frozen=True)
class Found:
    """Examples of a batch; seconds of a step, on the wall and of the CPU; and of the latter what is not the network."""

    batch: int
    seconds: float
    cpu_seconds: float
    clips_per_s: float
    outside: float


def measured(method: Method, phase: str, seconds: float) -> Found:
    """One phase, for about so many seconds."""
    view = view_of_noise(method, CLIPS, CPU)
    clock = Clock()

    def run(steps: int) -> PhaseLoop:
        changes: dict[str, Any] = {"validation": None, "patience": None, "keep": "last", "clips": "all"}
        loop = phase_loop(method, phase, view, CPU, epochs=None, steps=steps, **changes)
        with clock.watches(loop):
            loop.run(Progress())
        return loop

    loop = run(1)  # a fresh process is slow at first
    steps = min(MOST_STEPS, int(seconds / clock.whole))
    if steps > 0:
        loop = run(steps)
    batch, step = min(loop.phase.batch_size, len(loop.training)), clock.wall / clock.steps
    clips = clips_per_step(loop) * batch / loop.phase.batch_size
    return Found(batch, step, clock.whole / clock.steps, clips / step, 1 - clock.network / clock.whole)


class Windows(Dataset[torch.Tensor]):
    """Windows of frames one by one, as a plain data set has them."""

    def __init__(self, view: FrameWindows, frames: int) -> None:
        self.view, self.frames, self.starts = view, frames, view._starts.tolist()

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, number: int) -> torch.Tensor:
        return self.view.frames[self.starts[number] :][: self.frames]


def against_a_data_loader(steps: int = 200) -> tuple[float, float]:
    """CPU seconds of a step of `baseline_ae`, of the loop and of a plain one over torch's DataLoader."""
    method, name = load_recipe("baseline_ae").resolve(member="ae"), "train"
    ours = measured(method, name, steps * 0.01)
    view = view_of_noise(method, CLIPS, CPU)
    loop = phase_loop(method, name, view, CPU)
    loader = DataLoader(Windows(view, 5), loop.phase.batch_size, shuffle=True)
    began = time.process_time()
    for _, x in zip(range(steps), loader, strict=False):
        loop.task(Batch({"windows": x}, x), generator("bench"))["loss"].backward()
        loop.optimizer.step()
        loop.optimizer.zero_grad(set_to_none=True)
    return ours.cpu_seconds, (time.process_time() - began) / steps


class Clock:
    """CPU seconds of the steps that it has watched last, and of the network in them."""

    @contextmanager
    def watches(self, loop: PhaseLoop) -> Iterator[None]:
        self.network, self.steps = 0.0, loop.total_steps
        update = type(loop.optimizer)
        with (
            patch.object(loop.task, "forward", self._timed(loop.task.forward)),
            patch.object(torch.Tensor, "backward", self._timed(torch.Tensor.backward)),
            patch.object(update, "step", self._timed(update.step)),
            patch.object(update, "zero_grad", self._timed(update.zero_grad)),
        ):
            began, wall = time.process_time(), time.perf_counter()
            yield
            self.whole, self.wall = time.process_time() - began, time.perf_counter() - wall

    def _timed(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return work(*arguments, **named)
            finally:
                self.network += time.process_time() - began

        return timed


if __name__ == "__main__":
    main(sys.argv[1:])
