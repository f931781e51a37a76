"""`asd features`: recordings to the packed store, and the front end's features beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asdcli.audio.cachefile import is_as_written
from asdcli.audio.clips import ClipTable, concat, places, scan_clips
from asdcli.audio.endtoend import in_file, in_memory
from asdcli.audio.features import Features, cache_file, cached_features
from asdcli.audio.oddities import comparable, same_samples
from asdcli.audio.packing import build_store, whole_store
from asdcli.audio.store import Store
from asdcli.challenge.editions.clipnames import EXCLUDED
from asdcli.errors import shown
from asdcli.recipe.schema import Method
from asdcli.stages.selection import Done, Selection
from asdcli.training.labels import CLASS, LabelSets, label_sets
from asdcli.ui import Progress, Ui
from asdcli.workspace.free_memory import free_bytes

SHARE = 0.5  # of the memory that is left: the rest is for networks


@dataclass(frozen=True)
class MachineStores:
    """The stores of one machine, by set, and their clips as one table (sets in order)."""

    stores: dict[str, Store]
    clips: ClipTable
    packed: int  # clips that had to be decoded just now

    @property
    def fingerprint(self) -> list[str]:
        return [store.fingerprint for store in self.stores.values()]

    @cached_property
    def training_fingerprint(self) -> list[str]:
        """Of the training clips alone: test clips that arrive later leave trained weights fresh."""
        stores = self.stores.values()
        return [store.fingerprint_of(np.flatnonzero(store.clips.split == "train")) for store in stores]


class Tally:
    """Passes the count of clips done on to a bar and keeps it: work that was fresh already never counts."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.count = 0

    def __call__(self, done: int) -> None:
        self.count = done
        self.progress.show(done)


def open_stores(selection: Selection, machine: str) -> MachineStores:
    """Pack the machine's clips where that is not done, and open the stores; once for a selection."""
    opened = selection.opened
    if machine not in opened:
        packed = _open_stores(selection, machine)
        opened[machine] = replace(packed, packed=0)
        return packed
    return opened[machine]


def _open_stores(selection: Selection, machine: str) -> MachineStores:
    workspace, edition, ui = selection.workspace, selection.edition, selection.ui
    stores, packed = {}, 0
    for set_name in selection.sets_of(machine):
        raw = workspace.raw(edition.name, set_name)
        clips, unmatched = scan_clips(raw, edition, set_name, [machine])
        if unmatched:
            ui.warn(
                f"{len(unmatched)} files of {machine} ({set_name}) have no name of {edition.name} and are left out, "
                f"for example {shown(unmatched[0])}"
            )
        if len(excluded := clips.path[clips.split == EXCLUDED]):
            ui.warn(
                f"{len(excluded)} clips of {machine} ({set_name}) lie among the training clips and are labelled "
                f"anomalous, for example {excluded[0]}: nothing is trained on them."
            )
        with ui.progress(f"pack {machine} {set_name}", len(clips)) as progress:
            tally = Tally(progress)
            store = build_store(raw, clips, workspace.store(edition.name, set_name, machine), tally)
        packed += tally.count
        stores[set_name] = store
    clips = concat([store.clips for store in stores.values()])
    if packed and len(stores) > 1:
        _warn_of_copies(ui, clips, list(stores.values()))
    return MachineStores(stores, clips, packed)


def _warn_of_copies(ui: Ui, clips: ClipTable, stores: list[Store]) -> None:
    """Say which clips of one set have the samples of another set's; within a set, packing has said it."""
    hashes = np.concatenate([comparable(store.measures, store.hashes) for store in stores])
    known = [odd for store in stores for odd in same_samples(store.clips, comparable(store.measures, store.hashes))]
    for oddity in same_samples(clips, hashes):
        if len(oddity.rows) > sum(len(other.rows) for other in known if other.many == oddity.many):
            ui.warn(f"Over the sets: {oddity.sentence(clips)}")


class ClipData:
    """What views draw from: the clips of some machines, as samples or as features, and what classes there are.

    labels: the classes that a run has learnt; left out, they are made of the training clips.
    """

    def __init__(
        self, selection: Selection, method: Method, machines: tuple[str, ...], labels: LabelSets | None = None
    ) -> None:
        opened = {machine: open_stores(selection, machine) for machine in machines}
        self._selection, self._method = selection, method
        self._stores = [(m, s, store) for m, found in opened.items() for s, store in found.stores.items()]
        self.clips = concat([store.clips for _, _, store in self._stores])
        self.set_name = np.repeat([s for _, s, _ in self._stores], [len(store) for _, _, store in self._stores])
        self.frontend, self.seed, self._run_labels = method.frontend, selection.seed, labels
        self.worked = sum(found.packed for found in opened.values())  # clips decoded or transformed just now

    def _whole(self, machine: str, set_name: str, store: Store) -> Store:
        """The store, its bytes checked: to be asked for where they are read for work."""
        workspace, edition = self._selection.workspace, self._selection.edition.name
        return whole_store(workspace.raw(edition, set_name), store, workspace.store(edition, set_name, machine))

    @cached_property
    def _whole_stores(self) -> list[Store]:
        return [self._whole(*place) for place in self._stores]

    def _cache(self, machine: str, set_name: str) -> Path:
        return self._selection.workspace.store(self._selection.edition.name, set_name, machine) / "features"

    @property
    def has_features(self) -> bool:
        """Whether the features of every store are cached, as far as can be told without reading them."""
        method, frontend = self._method, self._selection.traits(self._method).frontend
        return all(
            is_as_written(cache_file(store, frontend, method.channel, self._cache(machine, set_name)))
            for machine, set_name, store in self._stores
        )

    @cached_property
    def features(self) -> list[Features]:
        """The front end's features of every store, computed where they are not cached."""
        selection, method = self._selection, self._method
        frontend = selection.traits(method).frontend
        features = []
        for machine, set_name, store in self._stores:
            folder = self._cache(machine, set_name)
            title = f"{method.frontend.name} {machine} {set_name}"
            with selection.ui.progress(title, len(store.clips)) as progress, selection.workspace.lock(folder):
                tally = Tally(progress)
                if not is_as_written(cache_file(store, frontend, method.channel, folder)):
                    store = self._whole(machine, set_name, store)
                features.append(
                    cached_features(store, method.frontend, method.channel, folder, selection.device, tally)
                )
            self.worked += tally.count
        return features

    @cached_property
    def labels(self) -> LabelSets:
        """The classes that clips are told apart by: those of the run, or made of the training clips."""
        if self._run_labels is not None:
            return self._run_labels
        sources = self._method.labels
        sets = label_sets(self.clips, sources)
        if CLASS in sets and sets[CLASS].by != sources[0]:
            machines = ", ".join(dict.fromkeys(self.clips.machine.tolist()))
            found = sets[CLASS]
            self._selection.ui.say(f"{machines}: one class by {sources[0]}; {len(found.names)} by {found.by}")
        return sets

    def waveforms(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Samples of the chosen clips end to end, and the length of each.

        int16 as stored when one channel is taken, float32 (full scale 1) for a mix of channels, and for all where one
        clip needs it.
        """
        channel = self._method.channel
        chosen = [
            (self._whole_stores[n], clip) for n, clip in places(rows, [len(store) for _, _, store in self._stores])
        ]
        lengths = np.array([store.lengths[clip] for store, clip in chosen])
        one = channel if isinstance(channel, int) else None
        if any(store.kinds[clip] or (one is not None and one >= store.channels) for store, clip in chosen):
            one = None
        clips = (store.waveform(clip, channel) if one is None else store.clip(clip)[:, one] for store, clip in chosen)
        return self.together(clips, (int(lengths.sum()),), np.float32 if one is None else np.int16), lengths

    def together(self, parts: Iterable[np.ndarray], shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray:
        """The parts end to end as one array: in memory, or where that is too little in a file that is mapped."""
        size, free = math.prod(shape) * np.dtype(dtype).itemsize, free_bytes()
        if free is None or size <= SHARE * free:
            return in_memory(parts, shape, dtype)
        self._selection.ui.say(
            f"{size / 1e9:.1f} GB of data are read from a file as they are needed: "
            f"{free / 1e9:.1f} GB of memory are left"
        )
        return in_file(parts, shape, dtype, self._selection.workspace.root / "store")


def run(selection: Selection) -> list[Done]:
    """Bring stores and features of every selected machine up to date."""
    done = []
    for machine in selection.machines:
        worked = 0
        for member in selection.members:
            method = selection.method(member, machine)
            data = ClipData(selection, method, (machine,))
            if selection.traits(method).needs_features and not data.has_features:
                data.features  # noqa: B018 - computed for the cache
            worked += data.worked
        folder = selection.workspace.root / "store" / selection.edition.name
        done.append(Done(machine, f"{folder}/*/{machine}", worked == 0))
    return done
