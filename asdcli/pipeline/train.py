"""`asd train`: stores and features to the weights of every member."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import numpy as np
import torch

from asdcli.components import build
from asdcli.errors import UserError
from asdcli.pipeline.features import FeatureData, MachineStores, feature_data, open_stores
from asdcli.pipeline.selection import Done, Selection
from asdcli.recipe import Method
from asdcli.training import VIEWS
from asdcli.training.run import train
from asdcli.training.views import View
from asdcli.workspace import Made, fingerprint, write_atomic

WEIGHTS = "weights.safetensors"


def run(selection: Selection) -> list[Done]:
    """Train what is missing or stale; returns one entry per member and group of machines."""
    device = selection.device  # announced before anything else
    done = []
    for member in selection.members:
        for group, machines in selection.groups(member).items():
            method = selection.method(member, group if group in machines else None)
            folder = selection.workspace.run(selection.label, selection.edition.name, member, group, selection.seed)
            made_from = run_fingerprint(selection, method, [open_stores(selection, name) for name in machines])
            with selection.workspace.lock(folder):
                fresh = Made(folder).is_fresh(made_from)
                if not fresh:
                    _train(selection, method, machines, folder, f"{member} {group}", made_from, device)
            done.append(Done(f"{member} {group}", str(folder), fresh))
    return done


def run_fingerprint(selection: Selection, method: Method, stores: list[MachineStores]) -> str:
    """What the weights depend on: method, seed, and the training clips."""
    contents = [store.training_fingerprint for store in stores]
    return fingerprint({"method": method.training(), "seed": selection.seed, "stores": contents})


def training_view(selection: Selection, method: Method, machines: tuple[str, ...]) -> View:
    """The recipe's view of the machines' training clips."""
    data = feature_data(selection, method, machines)
    rows = np.flatnonzero(data.clips.split == "train")
    if not len(rows):
        raise UserError(f"{', '.join(machines)}: there are no training clips.")
    return make_view(selection, method, data, rows)


def make_view(selection: Selection, method: Method, data: FeatureData, rows: np.ndarray) -> View:
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

    view = training_view(selection, method, machines)
    folder.mkdir(parents=True, exist_ok=True)
    weights = train(
        method,
        view,
        folder,
        fingerprint=made_from,
        seed=selection.seed,
        device=device,
        title=f"train {title}",
        ui=selection.ui,
    )
    write_atomic(folder / "recipe.json", json.dumps(method.model_dump(mode="json"), indent=1).encode())
    write_atomic(folder / WEIGHTS, save({name: value.cpu().contiguous() for name, value in weights.items()}))
    Made(folder).write(
        made_from,
        [WEIGHTS, "recipe.json", "log.jsonl"],
        seed=selection.seed,
        device=device.type,
        torch=torch.__version__,
        python=platform.python_version(),
        training_clips=len(view.clips),
    )
    (folder / "checkpoint.pt").unlink(missing_ok=True)
