"""A run: the phases of a recipe one after another, for one member, machine and seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from asdcli.errors import UserError
from asdcli.nn.backbones import BACKBONES
from asdcli.nn.pretrained import FindWeights, StartsPretrained
from asdcli.recipe.components import build
from asdcli.recipe.schema import Method
from asdcli.training import CHECKPOINT
from asdcli.training.checkpoint import Checkpoint
from asdcli.training.loop import PhaseLoop
from asdcli.training.runlog import LOG, RunLog
from asdcli.training.seeds import derive_seed
from asdcli.training.tasks import TASKS
from asdcli.training.tasks.task import Task, carry_over
from asdcli.training.views.view import View
from asdcli.training.watch import Watch
from asdcli.ui import Ui


def build_task(method: Method, phase: str, view: View, device: torch.device, seed: int) -> Task:
    """The network and heads of one phase with the initial weights of this seed."""
    torch.manual_seed(derive_seed(seed, "weights"))
    model = build(BACKBONES, "model", method.model, view.input_shape)
    task: Task = build(TASKS, "task", method.phases[phase].task, model, view)
    moved: Task = task.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


@dataclass(frozen=True)
class Trained:
    """The weights after the last phase, the phases that were run, and what was said of the run on the way."""

    weights: dict[str, Tensor]
    phases: list[str]
    alarms: list[str]


def phases_for(method: Method, view: View) -> list[str]:
    """The phases that the training clips allow: a phase may need clips of a domain."""
    there = set(view.clips.domain.tolist())
    names = [name for name, phase in method.phases.items() if phase.needs is None or phase.needs in there]
    if not names:
        raise UserError("None of the recipe's phases has the training clips it needs.")
    return names


def train(
    method: Method,
    view: View,
    folder: Path,
    *,
    fingerprint: str,
    seed: int,
    device: torch.device,
    title: str,
    ui: Ui,
    find_weights: FindWeights,
    watch: Watch | None = None,
) -> Trained:
    """Train all phases, going on from the checkpoint in `folder` if it is of this fingerprint.

    find_weights: for networks that start from published weights.
    watch: looks at test clips after each epoch, for the run log.
    """
    checkpoint, log = Checkpoint(folder / CHECKPOINT, fingerprint), RunLog(folder / LOG)
    saved = checkpoint.load()
    log.cut(saved["log_size"] if saved else 0)
    if checkpoint.damaged:
        ui.warn(f"{title}: {checkpoint.path} is not as it was saved; training begins anew.")
    if saved:
        ui.say(f"{title}: going on at phase {saved['phase']}, step {saved['at']['step']}")
    names = phases_for(method, view)
    weights: dict[str, Tensor] = {}
    for name in names[names.index(saved["phase"]) :] if saved else names:
        task = build_task(method, name, view, device, seed)
        if isinstance(task.model, StartsPretrained) and not saved and not weights:
            task.model.load_pretrained(find_weights)
        carry_over(task, weights)
        if method.phases[name].steps != 0:
            loop = PhaseLoop(
                name,
                method.phases[name],
                task,
                view,
                seed=seed,
                device=device,
                checkpoint=checkpoint,
                log=log,
                watch=watch,
                warn=lambda sentence: ui.warn(f"{title}: {sentence}"),
            )
            if saved and saved["phase"] == name:
                loop.restore(saved)
            label = title if len(names) == 1 else f"{title}, {name}"
            with ui.progress(label, loop.total_steps, "steps") as progress:
                loop.run(progress)
        weights = task.state_dict()
    return Trained(weights, names, log.alarms())
