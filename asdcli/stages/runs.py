"""Runs: where the weights of a training lie, found by what they are made from.

A run is `runs/<recipe>/<edition>/<member>/<group>/seed_<n>/<what it is made from>/`. Another recipe of the same name,
other training clips or other code make another run beside it; nothing finished is written over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asdcli.audio import features as cache
from asdcli.download.weights import load_weights
from asdcli.recipe.schema import Method
from asdcli.stages.features import MachineStores, open_stores
from asdcli.stages.selection import Selection
from asdcli.stages.traits import Traits
from asdcli.workspace.checksums import remembered_sha256
from asdcli.workspace.made import digest
from asdcli.workspace.places import Workspace

TRAINING = 1  # to be raised when the loop, or what it shares among tasks and views, makes other weights than before


@dataclass(frozen=True)
class Run:
    """One training: of a member, for a group of machines that share a network.

    parts: what the weights depend on, by name; equal parts are the same run. clusters: how many each machine's clips
    are parted into, where a phase clusters.
    """

    member: str
    group: str
    machines: tuple[str, ...]
    method: Method
    folder: Path
    parts: dict[str, Any]
    clusters: dict[str, Any] = field(default_factory=dict)

    @property
    def started_from(self) -> str:
        """What the networks start from, see the function of this name."""
        return str(self.parts["weights"])

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
    parts = _parts(selection, selection.traits(method), clips)
    clusters: dict[str, Any] = {}
    if any(phase.cluster for phase in method.phases.values()):
        parts["clusters"] = clusters = {name: selection.method(member, name).clusters for name in machines}
    family = selection.workspace.runs(selection.label, selection.edition.name, member, group, selection.seed)
    return Run(member, group, machines, method, family / digest(parts)[:12], parts, clusters)


def run_of(selection: Selection, member: str, machine: str) -> Run:
    """The run that embeds a machine's clips."""
    groups = selection.groups(member)
    return find_run(selection, member, next(name for name, machines in groups.items() if machine in machines))


def _parts(selection: Selection, traits: Traits, clips: list[list[str]]) -> dict[str, Any]:
    """All that changes the weights, and nothing else. clips: the fingerprints of each machine's training clips."""
    return {
        "recipe": traits.settings,
        "code": traits.code,
        "numbers": {"training": TRAINING, "features": cache.FORMAT},
        "weights": started_from(selection.workspace, traits.starts),
        "clips": digest(clips),
        "seed": selection.seed,
    }


def started_from(workspace: Workspace, starts: Iterable[Sequence[str]]) -> str:
    """What the networks start from: the SHA-256 of published weights or of a file, or `random`, of each.

    starts: as `describe.starts` tells them.
    """
    return " ".join(_start(workspace, published, weights) for published, weights in starts)


def _start(workspace: Workspace, published: str, weights: str) -> str:
    if published:
        return load_weights(published).sha256
    if weights == "random":
        return weights
    return remembered_sha256(Path(weights).expanduser(), workspace.root / ".sha256.json") or weights
