"""The one training loop.

It knows batches, losses, updates and epochs, and nothing of any method: the task holds the networks and the loss, the
view the data, the sampler the order. All randomness is a function of (seed, phase, epoch or step), so that a run that
was killed anywhere and started again ends, on the CPU, with the same weights to the last bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from asdcli.audio.inorder import in_order
from asdcli.errors import UserError, WorkError
from asdcli.nn.optimizers import OPTIMIZERS
from asdcli.nn.schedules import SCHEDULES
from asdcli.recipe.components import build
from asdcli.recipe.schema import Phase
from asdcli.training.augments import AUGMENTS, Make
from asdcli.training.checkpoint import Checkpoint
from asdcli.training.precision import bfloat16_network
from asdcli.training.runlog import RunLog
from asdcli.training.samplers import SAMPLERS
from asdcli.training.seeds import generator, seed_layers
from asdcli.training.split import split_examples
from asdcli.training.tasks.task import Task, freeze, train_mode
from asdcli.training.views.view import Batch, View
from asdcli.training.watch import Watch
from asdcli.ui import Progress

CHECK_EVERY = 100  # steps between looks at the loss: each look waits for the GPU


@dataclass
class Position:
    """How far a phase has come. Of this epoch: `batch` batches, `seen` examples; of what is logged, sum and count."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seen: int = 0
    sums: dict[str, list[float]] = field(default_factory=dict)
    best_loss: float = float("inf")
    best_epoch: int = -1
    done: bool = False


class PhaseLoop:
    """One phase of one run, from its first step or from its checkpoint to its end.

    keep: what else stands in the checkpoint, for the run.
    """

    def __init__(
        self,
        name: str,
        phase: Phase,
        task: Task,
        view: View,
        *,
        seed: int,
        device: torch.device,
        checkpoint: Checkpoint,
        log: RunLog,
        watch: Watch | None = None,
        warn: Callable[[str], None] = lambda sentence: None,
        keep: dict[str, Any] | None = None,
    ) -> None:
        self.name, self.phase, self.task, self.view = name, phase, task, view
        self.seed, self.device, self.checkpoint, self.log = seed, device, checkpoint, log
        self.watch, self.warn, self.keep = watch, warn, keep or {}
        freeze(task, phase.train, phase.freeze)
        self.training, self.held_out = split_examples(view, phase, seed, name)
        self.sampler = build(SAMPLERS, "sampler", phase.sampler, view, self.training, phase.batch_size)
        if self.sampler.batches < 1:
            raise UserError(f"Phase {name} has too few examples ({len(self.training)}) for one batch.")
        self.augments = [build(AUGMENTS, "augment", component, view) for component in phase.augment]
        self.total_steps = phase.steps or phase.epochs * self.sampler.batches
        weights = list(task.named_parameters())
        if not any(parameter.requires_grad for _, parameter in weights):
            raise UserError(f"Phase {name} freezes every parameter; nothing is left to train.")
        self.optimizer = build(OPTIMIZERS, "optimizer", phase.optimizer, weights)
        self._base_rates = [group["lr"] for group in self.optimizer.param_groups]
        self._factor = build(SCHEDULES, "schedule", phase.schedule)
        self._examples_per_clip = len(view.clip) / max(1, len(view.clips))
        self.at = Position()
        self.best: dict[str, Tensor] | None = None

    # --- the loop -------------------------------------------------------------------------------------------------

    def run(self, progress: Progress) -> None:
        """Train to the end of the phase and leave its final weights in the task."""
        while not self.at.done:
            self._epoch(progress)
        if self.phase.keep == "best" and self.best is not None:
            self.task.load_state_dict(self.best)

    def _epoch(self, progress: Progress) -> None:
        began, seen_before = time.monotonic(), self.at.seen
        train_mode(self.task)
        sums = {name: torch.tensor(value, dtype=torch.float64) for name, value in self.at.sums.items()}
        order = self.sampler.epoch(generator(self.seed, self.name, "epoch", self.at.epoch), skip=self.at.batch)
        for examples, batch in self._batches(order):
            for name, pair in self._step(examples, batch).items():
                sums[name] = sums[name].to(pair.device) + pair if name in sums else pair
            self.at.step, self.at.batch, self.at.seen = (
                self.at.step + 1,
                self.at.batch + 1,
                self.at.seen + len(examples),
            )
            if self.at.step % CHECK_EVERY == 0 or self.at.step == self.total_steps:
                self._show(progress, sums, (self.at.seen - seen_before) / (time.monotonic() - began))
            if self.at.step == self.total_steps:
                break
            if self.at.step % self.phase.accumulate == 0 and self.checkpoint.due():
                self.at.sums = {name: pair.tolist() for name, pair in sums.items()}
                self.save()
        totals = {name: pair.tolist() for name, pair in sums.items()}  # waits for the GPU, which lags behind the clock
        self._end_epoch(totals, time.monotonic() - began, self.at.seen - seen_before, progress)

    def _batches(self, order: Iterable[Tensor]) -> Iterator[tuple[Tensor, Batch]]:
        """Examples and what is made of them, step by step with the layers' own generator seeded. Of data that are
        streamed a batch is made while the one before is trained on.
        """

        def made(numbered: tuple[int, Tensor]) -> tuple[Tensor, Batch]:
            step, examples = numbered
            draw = generator(self.seed, self.name, "batch", step)
            return examples, self.make_batch(examples, draw, self.training)

        numbered = enumerate(order, self.at.step)
        if getattr(self.view, "streamed", False):
            with ThreadPoolExecutor(
                1, initializer=_begin_thread, initargs=(self.device, torch.get_num_threads())
            ) as pool:
                for examples, batch in in_order(pool, made, numbered, ahead=1):
                    seed_layers(self.device, self.seed, self.name, "step", self.at.step)
                    yield examples, batch
        else:
            for one in numbered:
                seed_layers(self.device, self.seed, self.name, "step", self.at.step)
                yield made(one)

    def _step(self, examples: Tensor, batch: Batch) -> dict[str, Tensor]:
        """One batch forward and backward, and an update when enough batches have gathered.

        What is logged of it: sum and count by name, `[2]` float64.
        """
        phase = self.phase
        try:
            losses = self._forward(batch, self.at.step)
        except ValueError as error:
            if len(examples) > 1 or "more than 1 value per channel" not in str(error):  # torch's batch norms
                raise
            raise UserError(
                f"Phase {self.name} has a batch of one example, and the network's batch norms compare several.",
                "It takes at least two training examples, and a batch_size of two or more.",
            ) from None
        update, updates = self.at.step // phase.accumulate, -(-self.total_steps // phase.accumulate)
        gathered = min(phase.accumulate, self.total_steps - update * phase.accumulate)  # the last update may have fewer
        (losses["loss"] / gathered).backward()
        if (self.at.step + 1) % phase.accumulate == 0 or self.at.step + 1 == self.total_steps:
            for group, rate in zip(self.optimizer.param_groups, self._base_rates, strict=True):
                group["lr"] = rate * self._factor(update, updates, self.sampler.batches / phase.accumulate)
            if phase.gradient_clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(self.task.parameters(), phase.gradient_clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        return {name: _sum_and_count(value.detach().double(), len(examples)) for name, value in losses.items()}

    def make_batch(self, examples: Tensor, draw: torch.Generator, among: Tensor) -> Batch:
        """The examples as the phase augments them. among: those that may be mixed in."""
        make: Make = self.view.batch
        for augment in self.augments:
            make = partial(augment, make, among)
        return make(examples, draw)

    def _forward(self, batch: Batch, step: int) -> dict[str, Tensor]:
        half = self.phase.precision == "bfloat16" and self.device.type == "cuda"
        with bfloat16_network(self.task.model, self.device) if half else nullcontext():
            losses: dict[str, Tensor] = self.task(batch, generator(self.seed, self.name, "task", step))
        return losses

    def _end_epoch(self, sums: dict[str, list[float]], seconds: float, examples: int, progress: Progress) -> None:
        record: dict[str, Any] = {"phase": self.name, "epoch": self.at.epoch, "step": self.at.step}
        record |= {name: total / count for name, (total, count) in sums.items() if count}
        self._check_finite(record["loss"])
        record["lr"] = self.optimizer.param_groups[0]["lr"]
        if len(self.held_out):
            record["validation_loss"] = self._validate()
            self._check_finite(record["validation_loss"])
            if record["validation_loss"] < self.at.best_loss:
                self.at.best_loss, self.at.best_epoch = record["validation_loss"], self.at.epoch
                if self.phase.keep == "best":
                    self.best = {name: value.detach().clone() for name, value in self.task.state_dict().items()}
        if self.watch is not None:
            record |= self.watch.look(self.task)
        self._sound_alarms(record)
        rate = examples / self._examples_per_clip / max(seconds, 1e-9)
        self.log.write(record | {"seconds": round(seconds, 3), "clips_per_s": round(rate, 1)})
        waited = self.at.epoch - self.at.best_epoch
        self.at.done = self.at.step >= self.total_steps or (
            self.phase.patience is not None and waited >= self.phase.patience
        )
        self.at.epoch, self.at.batch, self.at.seen, self.at.sums = self.at.epoch + 1, 0, 0, {}
        if self.at.done or (self.at.step % self.phase.accumulate == 0 and self.checkpoint.due()):
            self.save()
        progress.show(self.total_steps if self.at.done else self.at.step)

    def _sound_alarms(self, record: dict[str, Any]) -> None:
        """Say what the task wants said of this epoch, and keep it in the record."""
        said = [
            f"phase {self.name}, epoch {self.at.epoch + 1}: {alarm.sentence.format(value=record[alarm.figure])}"
            for alarm in self.task.alarms
            if record.get(alarm.figure, alarm.limit) < alarm.limit
        ]
        if said:
            record["alarms"] = said
            self.warn(" ".join(said))

    @torch.no_grad()
    def _validate(self) -> float:
        self.task.eval()
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for index, examples in enumerate(self.held_out.split(self.phase.batch_size)):
            seed_layers(self.device, self.seed, self.name, "validation", index)
            batch = self.make_batch(examples, generator(self.seed, self.name, "validation", index), self.held_out)
            total += self._forward(batch, index)["loss"].double() * len(examples)
        return float(total) / len(self.held_out)

    def _show(self, progress: Progress, sums: dict[str, Tensor], examples_per_s: float) -> None:
        loss = float(sums["loss"][0] / sums["loss"][1])
        self._check_finite(loss)
        progress.show(self.at.step, f"loss {loss:.4g}, {examples_per_s / self._examples_per_clip:.0f} clips/s")

    def _check_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise WorkError(
                f"The loss of phase {self.name} is {loss} at step {self.at.step}; training stopped.",
                "Lower the learning rate, or look for clips with extreme values.",
            )

    # --- going on after a kill ------------------------------------------------------------------------------------

    def save(self) -> None:
        self.checkpoint.save(
            {
                "phase": self.name,
                "at": asdict(self.at),
                "task": self.task.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "best": self.best,
                "log_size": self.log.size(),
                **self.keep,
            }
        )

    def restore(self, saved: dict[str, Any]) -> None:
        self.at = Position(**saved["at"])
        self.task.load_state_dict(saved["task"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.best = saved["best"]


def _begin_thread(device: torch.device, threads: int) -> None:
    """A thread computes as the one that begins it does: both numbers are each thread's own."""
    torch.set_num_threads(threads)
    if device.index is not None:
        torch.cuda.set_device(device)


def _sum_and_count(value: Tensor, examples: int) -> Tensor:
    """A pair as it is, and a scalar as the mean over the examples of a batch."""
    return value if value.ndim else torch.stack((value, torch.ones_like(value))) * examples
