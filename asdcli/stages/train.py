"""`asd train`: stores and features to the weights of every member."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import numpy as np
import torch

from asdcli.download.transport import Line
from asdcli.download.weights import bring_weights, load_weights
from asdcli.errors import AsdError, UserError, WorkError
from asdcli.recipe.components import build
from asdcli.recipe.schema import Method
from asdcli.stages.features import ClipData, MachineStores, open_stores
from asdcli.stages.selection import Done, Selection
from asdcli.training.run import train
from asdcli.training.views import VIEWS
from asdcli.training.views.view import View
from asdcli.training.watch import Watch, rows_to_watch
from asdcli.workspace.files import write_atomic
from asdcli.workspace.made import Made, fingerprint

WEIGHTS = "weights.safetensors"


class TrainingError(WorkError):
    """Some members could not be trained; `members` are those that could."""

    def __init__(self, message: str, members: tuple[str, ...]) -> None:
        named = " ".join(f"--member {member}" for member in members)
        super().__init__(message, f"The others are usable: {named}" if members else "")
        self.members = members


def run(selection: Selection) -> list[Done]:
    """Train what is missing or stale; returns one entry per member and group of machines.

    A training that fails does not stop the others; at the end a TrainingError names those that failed. What stops all
    of them is raised as it is.
    """
    device = selection.device  # announced before anything else
    done: list[Done] = []
    failed: dict[str, list[str]] = {}
    wrong: list[AsdError] = []
    for member in selection.members:
        for group, machines in selection.groups(member).items():
            try:
                done.append(_bring_up_to_date(selection, member, group, machines, device))
            except AsdError as error:
                if str(error) not in map(str, wrong):  # what is wrong for all machines is said once
                    selection.ui.warn(f"{member} {group}: {error} {error.hint}")
                failed.setdefault(member, []).append(group)
                wrong.append(error)
    if not done and len({str(error) for error in wrong}) == 1:
        raise wrong[0]
    if failed:
        names = ", ".join(f"{member} ({', '.join(groups)})" for member, groups in failed.items())
        others = tuple(member for member in selection.members if member not in failed)
        raise TrainingError(f"Training failed for {names}.", others)
    return done


def _bring_up_to_date(
    selection: Selection, member: str, group: str, machines: tuple[str, ...], device: torch.device
) -> Done:
    method = selection.method(member, group if group in machines else None)
    folder = selection.workspace.run(selection.label, selection.edition.name, member, group, selection.seed)
    made_from = run_fingerprint(selection, method, [open_stores(selection, name) for name in machines])
    with selection.workspace.lock(folder):
        fresh = Made(folder).is_fresh(made_from)
        if not fresh:
            _train(selection, method, machines, folder, f"{member} {group}", made_from, device)
    return Done(f"{member} {group}", str(folder), fresh)


def run_fingerprint(selection: Selection, method: Method, stores: list[MachineStores]) -> str:
    """What the weights depend on: method, seed, and the training clips."""
    contents = [store.training_fingerprint for store in stores]
    return fingerprint({"method": method.training(), "seed": selection.seed, "stores": contents})


def training_view(selection: Selection, method: Method, data: ClipData) -> View:
    """The recipe's view of the training clips."""
    rows = np.flatnonzero(data.clips.split == "train")
    if not len(rows):
        machines = ", ".join(dict.fromkeys(data.clips.machine.tolist()))
        raise UserError(f"{machines}: there are no training clips.")
    return make_view(selection, method, data, rows)


def make_watch(selection: Selection, method: Method, data: ClipData) -> Watch | None:
    """What looks at labelled test clips during training, if the recipe wants it and there are any."""
    rows = rows_to_watch(data.clips, method.watch_clips)
    return Watch(make_view(selection, method, data, rows)) if len(rows) else None


def make_view(selection: Selection, method: Method, data: ClipData, rows: np.ndarray) -> View:
    """The recipe's view of some rows of a clip table."""
    view: View = build(VIEWS, "view", method.view, data, rows, selection.device)
    return view


def _train(
    selection: Selection,
    method: Method,
    machines: tuple[str, ...],
    folder: Path,
    title: str,
    made_from: str,
    device: torch.device,
) -> None:
    from safetensors.torch import save

    data = ClipData(selection, method, machines)
    view = training_view(selection, method, data)
    folder.mkdir(parents=True, exist_ok=True)
    trained = train(
        method,
        view,
        folder,
        fingerprint=made_from,
        seed=selection.seed,
        device=device,
        title=f"train {title}",
        ui=selection.ui,
        find_weights=lambda name: bring_weights(
            load_weights(name), selection.workspace.weights, Line.to(), selection.ui
        ),
        watch=make_watch(selection, method, data),
    )
    write_atomic(folder / "recipe.json", json.dumps(method.model_dump(mode="json"), indent=1).encode())
    write_atomic(folder / WEIGHTS, save({name: value.cpu().contiguous() for name, value in trained.weights.items()}))
    Made(folder).write(
        made_from,
        [WEIGHTS, "recipe.json", "log.jsonl"],
        seed=selection.seed,
        device=device.type,
        torch=torch.__version__,
        python=platform.python_version(),
        training_clips=len(view.clips),
        phases=trained.phases,
    )
    (folder / "checkpoint.pt").unlink(missing_ok=True)
