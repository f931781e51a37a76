"""Runs: where the weights of a training lie, found by what they are made from.

A run is `runs/<recipe>/<edition>/<member>/<group>/seed_<n>/<what it is made from>/`. Another recipe of the same name,
other training clips or other code make another run beside it; nothing finished is written over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asdcli.audio import features as cache
from asdcli.download.weights import load_weights
from asdcli.nn.backbones import BACKBONES
from asdcli.recipe.components import check, code_digest
from asdcli.recipe.schema import Method
from asdcli.stages.describe import components, published_weights
from asdcli.stages.features import MachineStores, open_stores
from asdcli.stages.selection import Selection
from asdcli.training.tasks import TASKS
from asdcli.training.views import VIEWS
from asdcli.workspace.checksums import remembered_sha256
from asdcli.workspace.made import digest
from asdcli.workspace.places import Workspace

TRAINING = 1  # to be raised when the loop, or what it shares among tasks and views, makes other weights than before


@dataclass(frozen=True)
class Run:
    """One training: of a member, for a group of machines that share a network.

    parts: what the weights depend on, by name; equal parts are the same run.
    """

    member: str
    group: str
    machines: tuple[str, ...]
    method: Method
    folder: Path
    parts: dict[str, Any]

    @property
    def title(self) -> str:
        return f"{self.member} {self.group}"

    @property
    def made_from(self) -> str:
        return digest(self.parts)


def find_runs(selection: Selection) -> Iterator[Run]:
    """The runs of a selection, member by member, whether they are there or not."""
    for member in selection.members:
        for group in selection.groups(member):
            yield find_run(selection, member, group)


def find_run(
    selection: Selection, member: str, group: str, stores: Callable[[Selection, str], MachineStores] = open_stores
) -> Run:
    """One run of a selection; `stores` opens those of a machine, and packs its clips first unless told otherwise."""
    machines = selection.groups(member)[group]
    method = selection.method(member, group if group in machines else None)
    clips = [stores(selection, machine).training_fingerprint for machine in machines]
    parts = _parts(selection, method, clips)
    family = selection.workspace.runs(selection.label, selection.edition.name, member, group, selection.seed)
    return Run(member, group, machines, method, family / digest(parts)[:12], parts)


def _parts(selection: Selection, method: Method, clips: list[list[str]]) -> dict[str, Any]:
    """All that changes the weights, and nothing else. clips: the fingerprints of each machine's training clips."""
    return {
        "recipe": _settings(method),
        "code": {
            f"{kind} {component.name}": code_digest(registry[component.name])
            for path, registry, kind, component in components(method)
            if path[0] not in ("detectors", "threshold")  # which read what a training made
        },
        "numbers": {"training": TRAINING, "features": cache.FORMAT},
        "weights": _weights(selection.workspace, method),
        "clips": digest(clips),
        "seed": selection.seed,
    }


def _settings(method: Method) -> dict[str, Any]:
    """What the recipe says of training. Options of the view that only cut clips to be embedded are left out, and the
    path of a weight file, whose content counts.
    """
    settings = method.training()
    tasks = [(TASKS[phase.task.name], check(TASKS, "task", phase.task)) for phase in method.phases.values()]
    if not any(task.learns_from_whole_clips(**params) for task, params in tasks):  # type: ignore[attr-defined]
        for option in VIEWS[method.view.name].embedding_options:  # type: ignore[attr-defined]
            settings["view"].pop(option, None)
    settings["model"].pop("weights", None)
    return settings


def _weights(workspace: Workspace, method: Method) -> str:
    """What the network starts from: the SHA-256 of published weights or of a file, or `random`."""
    if name := published_weights(method):
        return load_weights(name).sha256
    given = str(check(BACKBONES, "model", method.model).get("weights", "random"))
    if given == "random":
        return given
    return remembered_sha256(Path(given).expanduser(), workspace.root / ".sha256.json") or given
