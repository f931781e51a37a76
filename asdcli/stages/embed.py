"""`asd embed`: weights and features to one embedding per clip, train and test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asdcli.audio.clips import ClipTable, concat
from asdcli.detection.bank import Bank, Embeddings, joined, take
from asdcli.recipe.schema import Detector, Method
from asdcli.stages import train as training
from asdcli.stages.cliparrays import load_arrays, save_arrays
from asdcli.stages.features import ClipData, open_stores
from asdcli.stages.predicting.added import SPLIT, read_added
from asdcli.stages.runs import Run, find_runs, run_of
from asdcli.stages.selection import Done, Selection, warn_of_damage
from asdcli.workspace.files import write_atomic
from asdcli.workspace.made import Made, digest

if TYPE_CHECKING:
    from asdcli.detection.fitted import FittedSection
    from asdcli.training.tasks.task import Task

EMBEDDING = 2  # to be raised when this stage makes other embeddings of the same weights than before
EMBEDS = ("front", "view", "model", "task")  # kinds of components whose code makes embeddings
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
    return Embedded(concat(tables), set_names, joined(arrays))


def load(folder: Path, set_name: str) -> tuple[ClipTable, dict[str, np.ndarray]]:
    """The clips of one set and their embeddings, `[clips, ...]` by name."""
    return load_arrays(folder / f"{set_name}.npz")


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
                **({"pooling": pooling} if (pooling := selection.traits(run.method).pooling) else {}),
            }
        )

        def make() -> None:
            warn_of_damage(selection.ui, Made(folder), made_from)
            like = self._like(machine)
            files = [f"{name}.npz" for name in selection.sets_of(machine)]
            if (twin := self._twin(machine, like, files)) is None:
                self._embed(machine, folder)
            else:
                selection.ui.say(f"embed {run.member} {machine}: as in {twin}, which is copied")
                for name in files:
                    write_atomic(folder / name, (twin / name).read_bytes())
            Made(folder).write(made_from, files, run=run.folder.name, like=like)

        fresh = selection.workspace.bring_up_to_date(folder, lambda: Made(folder).is_fresh(made_from), make)
        return Done(f"{run.member} {machine}", str(folder), fresh)

    def _like(self, machine: str) -> str:
        """What the embeddings of a network that nothing has been trained of are made from; empty for any other.

        Whoever asks for the same network, of the same clips, gets the same, whatever the recipe, its classes and its
        detectors are.
        """
        selection, run = self.selection, self.run
        traits = selection.traits(run.method)
        if not traits.untouched:
            return ""
        return digest(
            {
                "network": traits.settings["model"],
                "channel": run.method.channel,
                "code": {kind: code for kind, code in traits.code.items() if kind.split()[0] in EMBEDS},
                "weights": run.started_from,
                "seed": selection.seed if "random" in run.started_from.split() else None,
                "frontend": traits.frontend,
                "view": traits.view,
                "pooling": traits.pooling,
                "stores": open_stores(selection, machine).fingerprint,
                "numbers": {"embedding": EMBEDDING},
            }
        )

    def _twin(self, machine: str, like: str, files: list[str]) -> Path | None:
        """A folder of embeddings that were made alike and are as they were written."""
        workspace, edition = self.selection.workspace, self.selection.edition.name
        folders = workspace.all_embeddings(edition, machine) if like else ()
        for made in map(Made, folders):
            entry = made.read().get("all", {})
            if entry.get("like") == like and entry["files"] == files and not made.damaged(entry["fingerprint"]):
                return made.folder
        return None

    @cached_property
    def _data(self) -> ClipData:
        run = self.run
        return ClipData(self.selection, run.method, run.machines, training.run_labels(self.selection, run))

    @cached_property
    def _task(self) -> Task:
        first = training.make_view(self.selection, self.run.method, self._data, np.arange(1))
        return training.load_task(self.selection, self.run, first)

    def _embed(self, machine: str, folder: Path) -> None:
        from asdcli.training.embedding import embedded_parts, pooled_embed

        selection, run, data = self.selection, self.run, self._data
        sets, embed = selection.sets_of(machine), pooled_embed(run.method, self._task)
        for set_name in sets:
            rows = np.flatnonzero((data.clips.machine == machine) & (data.set_name == set_name))
            with selection.ui.progress(f"embed {run.member} {machine} {set_name}", len(rows)) as progress:
                parts: list[Embeddings] = []
                done = 0
                for block in np.array_split(rows, -(-len(rows) // BLOCK)):
                    view = training.make_view(selection, run.method, data, block)
                    for count, part in embedded_parts(embed, view):
                        parts.append(part)
                        done += count
                        progress.show(done)
            save_arrays(folder / f"{set_name}.npz", data.clips.select(rows), joined(parts))
