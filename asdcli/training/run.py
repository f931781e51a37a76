"""A run: the phases of a recipe one after another, for one member, machine and seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from asdcli.detection.bank import clip_vectors, joined
from asdcli.errors import UserError
from asdcli.nn.branches import build_network
from asdcli.nn.lora import base_of, load_moved, moved_names
from asdcli.nn.pretrained import FindWeights, StartsPretrained
from asdcli.recipe.components import build
from asdcli.recipe.schema import Clustering, Method
from asdcli.training import CHECKPOINT
from asdcli.training.checkpoint import Checkpoint
from asdcli.training.clusters import Count, clustered_labels
from asdcli.training.embedding import embedded_parts
from asdcli.training.labels import CLASS, LabelSets
from asdcli.training.loop import PhaseLoop
from asdcli.training.runlog import LOG, RunLog
from asdcli.training.seeds import derive_seed
from asdcli.training.tasks import TASKS
from asdcli.training.tasks.task import Task, carry_over
from asdcli.training.views.view import View, ViewLabels
from asdcli.training.watch import Watch
from asdcli.ui import Ui


def build_task(method: Method, phase: str, view: View, device: torch.device, seed: int) -> Task:
    """The network and heads of one phase with the initial weights of this seed."""
    torch.manual_seed(derive_seed(seed, "weights"))
    model = build_network(method.model, view.input_shape)
    task: Task = build(TASKS, "task", method.phases[phase].task, model, view)
    moved: Task = task.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def load_trained(
    method: Method,
    phase: str,
    view: View,
    device: torch.device,
    path: Path,
    find: FindWeights,
    started_from: Callable[[], str],
) -> Task:
    """The network and heads of a phase as a run has left them, for evaluation.

    path: of its weights. Where those are only what moved, what it was moved from is put in place first: `find` finds
    it, and `started_from` tells what it is now. Raises UserError where that is not what it was then.
    """
    from safetensors.torch import load_file

    task = build_task(method, phase, view, device, seed=0)
    if base_of(path):
        task.model.load_pretrained(find)  # type: ignore[operator]
        load_moved(task, path, started_from())
    else:
        task.load_state_dict(load_file(path))
    return task.eval()


@dataclass(frozen=True)
class Trained:
    """What a run leaves: the weights after the last phase, and the names of those that are not as they were loaded; the
    classes it has learnt; the phases that were run, and what was said of the run on the way.
    """

    weights: dict[str, Tensor]
    moved: set[str]
    labels: LabelSets
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
    labels: LabelSets,
    clusters: Mapping[str, Count] | None = None,
    watch: Watch | None = None,
) -> Trained:
    """Train all phases, going on from the checkpoint in `folder` if it is of this fingerprint.

    find_weights: for networks that start from published weights.
    labels: the classes of the first phase, which are the view's.
    clusters: how many a machine's clips are parted into, by machine, where a phase clusters.
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
    given = labels
    task: Task | None = None
    moved: set[str] = set()
    if any(phase.cluster for phase in method.phases.values()):
        labels = _learn(view, LabelSets.from_json(saved["labels"]) if saved and saved["labels"] else labels)
    for name in names[names.index(saved["phase"]) :] if saved else names:
        phase = method.phases[name]
        here = saved if saved and saved["phase"] == name else None
        if phase.cluster and not here:
            if task is None:
                raise UserError(
                    f"Phase {name} clusters what a phase before it learns, but none has the clips it needs."
                )
            labels = _learn(view, _clustered(task, view, labels, clusters or {}, phase.cluster, title, ui))
            weights = {name: value for name, value in weights.items() if name.startswith("model.")}  # other heads
        task = build_task(method, name, view, device, seed)
        moved = moved_names(task)
        begins = not weights or phase.start == "initial"
        if begins and not here and isinstance(task.model, StartsPretrained):
            task.model.load_pretrained(find_weights)
        if not begins:
            carry_over(task, weights)
        if phase.steps != 0:
            loop = PhaseLoop(
                name,
                phase,
                task,
                view,
                seed=seed,
                device=device,
                checkpoint=checkpoint,
                log=log,
                watch=watch,
                warn=lambda sentence: ui.warn(f"{title}: {sentence}"),
                keep={"labels": labels.to_json() if labels is not given else None},
            )
            if here:
                loop.restore(here)
            label = title if len(names) == 1 else f"{title}, {name}"
            with ui.progress(label, loop.total_steps, "steps") as progress:
                loop.run(progress)
        weights = task.state_dict()
    return Trained(weights, moved, labels, names, log.alarms())


def _clustered(
    task: Task,
    view: View,
    labels: LabelSets,
    counts: Mapping[str, Count],
    how: Clustering,
    title: str,
    ui: Ui,
) -> LabelSets:
    """The classes of the next phase, from what the last one has made of the clips."""
    task.eval()
    parts, done = [], 0
    with ui.progress(f"{title}, clusters", len(view.clips)) as progress:
        for count, part in embedded_parts(task.embed, view):
            parts.append(part)
            done += count
            progress.show(done)
    made = clustered_labels(labels, view.clips, clip_vectors(joined(parts), "cluster"), counts, how)
    numbers = made[CLASS].numbers(view.clips)
    for machine in dict.fromkeys(view.clips.machine.tolist()):
        here = view.clips.machine == machine
        if any(path in made[CLASS].told for path in view.clips.path[here].tolist()):
            ui.say(f"{title}: {machine} has no attributes; {len(set(numbers[here].tolist()))} classes of clusters")
    return made


def _learn(view: View, labels: LabelSets) -> LabelSets:
    view.labels = ViewLabels.of_clips(labels, view.clips)
    return labels
