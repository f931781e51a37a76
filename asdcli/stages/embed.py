"""`asd embed`: weights and features to one embedding per clip, train and test."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asdcli.audio.clips import ClipTable, concat
from asdcli.detection.bank import Bank, Embeddings, take
from asdcli.recipe.schema import Detector, Method
from asdcli.stages import train as training
from asdcli.stages.added import SPLIT, read_added
from asdcli.stages.features import ClipData, open_stores
from asdcli.stages.runs import Run, find_runs, run_of
from asdcli.stages.selection import Done, Selection, warn_of_damage
from asdcli.workspace.files import write_atomic
from asdcli.workspace.made import Made, digest

if TYPE_CHECKING:
    from asdcli.detection.fitted import FittedSection
    from asdcli.training.tasks.task import Task

EMBEDDING = 2  # to be raised when this stage makes other embeddings of the same weights than before
BLOCK = 256  # clips whose examples lie on the device at once


def run(selection: Selection) -> list[Done]:
    """Train what is missing, then embed what is missing; one entry per member and machine."""
    training.run(selection)
    done = []
    for run in find_runs(selection):
        embedding = _Embedding(selection, run)
        for machine in (name for name in run.machines if name in selection.machines):
            done.append(embedding.bring_up_to_date(machine))
    return done


def embedding_folder(selection: Selection, member: str, machine: str) -> Path:
    return selection.workspace.embeddings(selection.label, selection.edition.name, member, machine, selection.seed)


@dataclass(frozen=True)
class Embedded:
    """All clips of one machine: table, set of each clip, embeddings."""

    clips: ClipTable
    set_name: np.ndarray
    embeddings: Embeddings

    def take(self, rows: np.ndarray) -> Embeddings:
        return take(self.embeddings, rows)

    def fitted(
        self, method: Method, detector: Detector, section: str, labels: np.ndarray | None = None
    ) -> FittedSection:
        """A detector of a section; labels: class of each clip `[clips]`, for detectors that ask for it."""
        from asdcli.detection.fitted import FittedSection

        bank = Bank(self.embeddings, self.clips.domain, self.clips.section, labels)
        return FittedSection(method, detector, bank, self.in_bank, section)

    @property
    def in_bank(self) -> np.ndarray:
        """Which clips detectors learn from: training clips, and those that were added to them."""
        return np.isin(self.clips.split, ("train", SPLIT))


def load_embedded(selection: Selection, member: str, machine: str) -> Embedded:
    """The embeddings that `run` left of a machine; made again first if they are not what was written.

    Clips that were added to the bank of its run follow, of no set.
    """
    folder, sets = embedding_folder(selection, member, machine), selection.sets_of(machine)
    made = Made(folder)
    if warn_of_damage(selection.ui, made, made.fingerprint() or "", again="embedded again"):
        made.forget("all")
        run(replace(selection, members=(member,), machines=(machine,)))
    tables, arrays = zip(*(load(folder, set_name) for set_name in sets), strict=True)
    set_names = np.repeat(sets, [len(table) for table in tables])
    if added := read_added(run_of(selection, member, machine).folder, machine):
        tables, arrays = (*tables, added.clips), (*arrays, added.embeddings)
        set_names = np.append(set_names, [""] * len(added.clips))
    joined = {name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]}
    return Embedded(concat(tables), set_names, joined)


def load(folder: Path, set_name: str) -> tuple[ClipTable, dict[str, np.ndarray]]:
    """The clips of one set and their embeddings, `[clips, ...]` by name."""
    with np.load(folder / f"{set_name}.npz", allow_pickle=False) as arrays:
        named = {name: arrays[name] for name in arrays.files}
    clips = ClipTable.from_columns(json.loads(named.pop("clips").tobytes()))
    return clips, named


@dataclass(frozen=True)
class _Embedding:
    """The embeddings of a run, machine by machine; data and network are there once for all of them."""

    selection: Selection
    run: Run

    def bring_up_to_date(self, machine: str) -> Done:
        selection, run = self.selection, self.run
        folder = embedding_folder(selection, run.member, machine)
        made_from = digest(
            {
                "run": run.made_from,
                "stores": open_stores(selection, machine).fingerprint,
                "view": selection.traits(run.method).view,
                "numbers": {"embedding": EMBEDDING},
            }
        )

        def make() -> None:
            warn_of_damage(selection.ui, Made(folder), made_from)
            self._embed(machine, folder, made_from)

        fresh = selection.workspace.bring_up_to_date(folder, lambda: Made(folder).is_fresh(made_from), make)
        return Done(f"{run.member} {machine}", str(folder), fresh)

    @cached_property
    def _data(self) -> ClipData:
        run = self.run
        return ClipData(self.selection, run.method, run.machines, training.run_labels(self.selection, run))

    @cached_property
    def _task(self) -> Task:
        from safetensors.torch import load_file

        from asdcli.training.run import build_task

        run, device = self.run, self.selection.device
        last_phase = Made(run.folder).read()["all"]["phases"][-1]
        first = training.make_view(self.selection, run.method, self._data, np.arange(1))
        task = build_task(run.method, last_phase, first, device, seed=0)
        task.load_state_dict(load_file(run.folder / training.WEIGHTS))
        return task.eval()

    def _embed(self, machine: str, folder: Path, made_from: str) -> None:
        from asdcli.training.embedding import embedded_parts, joined

        selection, run, data = self.selection, self.run, self._data
        sets = selection.sets_of(machine)
        for set_name in sets:
            rows = np.flatnonzero((data.clips.machine == machine) & (data.set_name == set_name))
            with selection.ui.progress(f"embed {run.member} {machine} {set_name}", len(rows)) as progress:
                parts: list[Embeddings] = []
                done = 0
                for block in np.array_split(rows, -(-len(rows) // BLOCK)):
                    view = training.make_view(selection, run.method, data, block)
                    for count, part in embedded_parts(self._task, view):
                        parts.append(part)
                        done += count
                        progress.show(done)
            _save(folder / f"{set_name}.npz", data.clips.select(rows), joined(parts))
        Made(folder).write(made_from, [f"{name}.npz" for name in sets], run=run.folder.name)


def _save(path: Path, clips: ClipTable, arrays: dict[str, np.ndarray]) -> None:
    buffer = io.BytesIO()
    table = np.frombuffer(json.dumps(clips.columns()).encode(), np.uint8)
    np.savez(buffer, clips=table, **arrays)  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())
