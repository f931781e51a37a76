"""`asd train`: stores and features to the weights of every member."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING, Any

import numpy as np

from asdcli.download.transport import Line
from asdcli.download.weights import load_weights, need_weights
from asdcli.errors import AsdError, UserError, WorkError
from asdcli.recipe.components import build
from asdcli.recipe.schema import Method
from asdcli.stages.features import ClipData
from asdcli.stages.runs import Run, find_run
from asdcli.stages.selection import Done, Selection, warn_of_damage
from asdcli.training import CHECKPOINT
from asdcli.training.labels import CLASS, LabelSets
from asdcli.ui import Ui
from asdcli.workspace.files import read_json, write_atomic
from asdcli.workspace.made import Made, digest, sealed, unsealed
from asdcli.workspace.places import Workspace

if TYPE_CHECKING:
    from asdcli.nn.pretrained import FindWeights
    from asdcli.training.run import Trained
    from asdcli.training.tasks.task import Task
    from asdcli.training.views.view import View
    from asdcli.training.watch import Watch

WEIGHTS = "weights.safetensors"
ABOUT = "run.json"
LABELS = "labels.json"


class TrainingError(WorkError):
    """Some members could not be trained; `members` are those that could. bad_input: bad input was a reason."""

    def __init__(self, message: str, members: tuple[str, ...], bad_input: bool = False) -> None:
        named = " ".join(f"--member {member}" for member in members)
        super().__init__(message, f"The others are usable: {named}" if members else "")
        self.members = members
        self.exit_code = UserError.exit_code if bad_input else WorkError.exit_code


class Outcome:
    """What became of some trainings, one after another: those that are done, and those that failed."""

    def __init__(self, ui: Ui) -> None:
        self.done: list[Done] = []
        self._ui, self._failed, self._wrong = ui, dict[str, list[str]](), list[AsdError]()

    def fail(self, member: str, group: str, error: AsdError) -> None:
        if str(error) not in map(str, self._wrong):  # what is wrong for all machines is said once
            self._ui.warn(f"{member} {group}: {error} {error.hint}")
        self._failed.setdefault(member, []).append(group)
        self._wrong.append(error)

    def result(self) -> list[Done]:
        """Those that are done, if that is all of them. Raises the error of all, or a TrainingError for some."""
        if not self.done and len({str(error) for error in self._wrong}) == 1:
            raise self._wrong[0]
        if self._failed:
            names = ", ".join(f"{member} ({', '.join(groups)})" for member, groups in self._failed.items())
            members = dict.fromkeys(done.what.partition(" ")[0] for done in self.done)
            raise TrainingError(
                f"Training failed for {names}.",
                tuple(member for member in members if member not in self._failed),
                any(isinstance(error, UserError) for error in self._wrong),
            )
        return self.done


def run(selection: Selection) -> list[Done]:
    """Train what is missing or stale; returns one entry per member and group of machines.

    A training that fails does not stop the others; at the end a TrainingError names those that failed. What stops all
    of them is raised as it is.
    """
    outcome = Outcome(selection.ui)
    for member in selection.members:
        for group in selection.groups(member):
            try:
                outcome.done.append(_bring_up_to_date(selection, find_run(selection, member, group)))
            except AsdError as error:
                outcome.fail(member, group, error)
    return outcome.result()


def is_fresh(run: Run) -> bool:
    """Whether a run is there and is what would be trained."""
    return Made(run.folder).is_fresh(run.made_from) and last_phase(run) is not None


def _bring_up_to_date(selection: Selection, run: Run) -> Done:
    def make() -> None:
        _forget_damaged(selection, run)
        _train(selection, run)

    fresh = selection.workspace.bring_up_to_date(run.folder, lambda: is_fresh(run), make)
    _keep_about(selection, run)
    if (left := run.folder / CHECKPOINT).exists():
        left.unlink(missing_ok=True)
    return Done(run.title, str(run.folder), fresh)


def last_phase(run: Run) -> str | None:
    """The phase whose network the weights are of; None where the run does not tell."""
    phases = Made(run.folder).read().get("all", {}).get("phases")
    known = isinstance(phases, list) and phases and phases[-1] in list(run.method.phases)
    return str(phases[-1]) if known else None


def check_weights(selection: Selection, run: Run) -> None:
    """Before weights are read: train again if they are not what was written."""
    with selection.workspace.lock(run.folder):
        if _forget_damaged(selection, run):
            _train(selection, run)


def _forget_damaged(selection: Selection, run: Run) -> bool:
    """Whether the weights are not what was written; they are then as if they had never been made."""
    made = Made(run.folder)
    again = f"{run.title} is trained again"
    damaged = warn_of_damage(selection.ui, made, run.made_from, again=again)
    if not damaged and made.fingerprint() == run.made_from and last_phase(run) is None:
        selection.ui.warn(f"{made.path} does not tell the phases of its training; {again}.")
        damaged = True
    if damaged:
        made.forget("all")
    return damaged


def training_view(selection: Selection, method: Method, data: ClipData) -> View:
    """The recipe's view of the training clips."""
    rows = np.flatnonzero(data.clips.split == "train")
    if not len(rows):
        machines = ", ".join(dict.fromkeys(data.clips.machine.tolist()))
        raise UserError(f"{machines}: there are no training clips.")
    return make_view(selection, method, data, rows)


def make_watch(selection: Selection, method: Method, data: ClipData, view: View) -> Watch | None:
    """What looks at labelled test clips during training, if the recipe wants it and there are any.

    view: that of the training clips, which tells whether the loss goes by the classes of clips.
    """
    from asdcli.training.watch import Watch, rows_to_watch

    by_class = CLASS in view.labels and getattr(view, "clip_classes", True)
    rows = rows_to_watch(data.clips, method.watch_clips, data.labels[CLASS].numbers(data.clips) if by_class else None)
    return Watch(make_view(selection, method, data, rows)) if len(rows) else None


def run_labels(selection: Selection, run: Run) -> LabelSets:
    """The classes that a run has learnt; it is trained again first if what it left is damaged."""
    check_weights(selection, run)
    try:
        return LabelSets.from_json(read_json(run.folder / LABELS))
    except ValueError:
        selection.ui.warn(f"{run.folder / LABELS} holds no classes; {run.title} is trained again.")
    Made(run.folder).forget("all")
    with selection.workspace.lock(run.folder):
        _train(selection, run)
    return LabelSets.from_json(read_json(run.folder / LABELS))


def make_view(selection: Selection, method: Method, data: ClipData, rows: np.ndarray) -> View:
    """The recipe's view of some rows of a clip table."""
    from asdcli.training.views import VIEWS

    view: View = build(VIEWS, "view", method.view, data, rows, selection.device)
    return view


def _train(selection: Selection, run: Run) -> None:
    import torch

    from asdcli.training.run import train

    method, folder, device = run.method, run.folder, selection.device
    data = ClipData(selection, method, run.machines)
    view = training_view(selection, method, data)
    _write_about(selection, run)
    find = weight_finder(selection.workspace, selection.ui)
    if not (folder / CHECKPOINT).exists():  # what is missing is said before a large network is built
        for published, _ in selection.traits(method).starts:
            if published:
                find(published)
    trained = train(
        method,
        view,
        folder,
        fingerprint=run.made_from,
        seed=selection.seed,
        device=device,
        title=f"train {run.title}",
        ui=selection.ui,
        find_weights=find,
        labels=data.labels,
        clusters=run.clusters,
        watch=make_watch(selection, method, data, view),
    )
    write_atomic(folder / "recipe.json", json.dumps(method.model_dump(mode="json"), indent=1).encode())
    write_atomic(folder / LABELS, json.dumps(trained.labels.to_json(), indent=1).encode())
    write_atomic(folder / WEIGHTS, _packed(trained, run.started_from))
    Made(folder).write(
        run.made_from,
        [WEIGHTS, LABELS],
        seed=selection.seed,
        device=device.type,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        python=platform.python_version(),
        training_clips=len(view.clips),
        phases=trained.phases,
        alarms=trained.alarms,
    )


def _packed(trained: Trained, started_from: str) -> bytes:
    """The weights as a file. Where much of a network has stayed as it was published (LoRA), only what moved: what the
    seed has drawn could not be had again so.
    """
    from asdcli.nn.lora import pack_moved

    if trained.moved == set(trained.weights) or "random" in started_from.split():
        return pack_moved(trained.weights, "")
    return pack_moved({name: trained.weights[name] for name in sorted(trained.moved)}, started_from)


def load_task(selection: Selection, run: Run, view: View) -> Task:
    """The network and heads of a run as they were trained, for evaluation. view: of any of the run's clips, with the
    classes that it has learnt.
    """
    from asdcli.training.run import load_trained

    phase, find = last_phase(run), weight_finder(selection.workspace, selection.ui)
    assert phase is not None, "a fresh run tells it"
    weights = run.folder / WEIGHTS
    return load_trained(run.method, phase, view, selection.device, weights, find, lambda: run.started_from)


def weight_finder(workspace: Workspace, ui: Ui) -> FindWeights:
    """Finds published weights by name where they lie under the root; they are fetched first if that is possible."""
    return lambda name: need_weights(load_weights(name), workspace.weights, Line.to(), ui)


def _write_about(selection: Selection, run: Run) -> None:
    write_atomic(run.folder / ABOUT, json.dumps(sealed(_about(selection, run)), indent=1).encode())


def _keep_about(selection: Selection, run: Run) -> None:
    """Write anew what tells whose run this is, if it is damaged: the weights do not depend on it."""
    about = unsealed(read_json(run.folder / ABOUT))
    if about is None or digest(about.get("parts")) != run.made_from:
        selection.ui.warn(f"{run.folder / ABOUT} is not what was written; it is written again.")
        _write_about(selection, run)


def _about(selection: Selection, run: Run) -> dict[str, Any]:
    """What tells later, to `asd runs`, whose run this is and from which parts it is made."""
    return {
        "recipe": str(selection.recipe.folder),
        "profile": selection.profile,
        "edition": selection.edition.name,
        "sets": list(selection.sets),
        "machines": list(run.machines),
        "member": run.member,
        "group": run.group,
        "seed": selection.seed,
        "parts": run.parts,
    }
