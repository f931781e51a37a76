"""`asd features`: recordings to the packed store, and the front end's features beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asdcli.audio.clips import ClipTable, concat, scan_clips
from asdcli.audio.features import Features, cached_features
from asdcli.audio.store import Store, build_store
from asdcli.pipeline.selection import Done, Selection
from asdcli.recipe import Method
from asdcli.ui import Progress


@dataclass(frozen=True)
class MachineStores:
    """The stores of one machine, by set, and their clips as one table (sets in order)."""

    stores: dict[str, Store]
    clips: ClipTable
    packed: int  # clips that had to be decoded just now

    @property
    def fingerprint(self) -> list[str]:
        return [store.fingerprint for store in self.stores.values()]

    @property
    def training_fingerprint(self) -> list[str]:
        """Of the training clips alone: test clips that arrive later leave trained weights fresh."""
        stores = self.stores.values()
        return [store.fingerprint_of(np.flatnonzero(store.clips.split == "train")) for store in stores]


@dataclass(frozen=True)
class FeatureData:
    """What views draw from: all clips of some stores and their features, in the same order."""

    clips: ClipTable
    features: list[Features]
    computed: int  # clips that had to be decoded or transformed just now


class Tally:
    """Passes the count of clips done on to a bar and keeps it: work that was fresh already never counts."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.count = 0

    def __call__(self, done: int) -> None:
        self.count = done
        self.progress.show(done)


def open_stores(selection: Selection, machine: str) -> MachineStores:
    """Pack the machine's clips where that is not done, and open the stores."""
    workspace, edition, ui = selection.workspace, selection.edition, selection.ui
    stores, packed = {}, 0
    for set_name in selection.sets_of(machine):
        raw = workspace.raw(edition.name, set_name)
        clips, unmatched = scan_clips(raw, edition, set_name, [machine])
        if unmatched:
            ui.warn(
                f"{len(unmatched)} files of {machine} ({set_name}) have no name of {edition.name} and are left out, "
                f"for example {unmatched[0]}"
            )
        with ui.progress(f"pack {machine} {set_name}", len(clips)) as progress:
            tally = Tally(progress)
            store = build_store(raw, clips, workspace.store(edition.name, set_name, machine), tally)
        packed += tally.count
        stores[set_name] = store
    return MachineStores(stores, concat([store.clips for store in stores.values()]), packed)


def feature_data(selection: Selection, method: Method, machines: tuple[str, ...]) -> FeatureData:
    """Features of all clips of the machines, computed where they are not cached."""
    tables, features, computed = [], [], 0
    for machine in machines:
        opened = open_stores(selection, machine)
        computed += opened.packed
        for set_name, store in opened.stores.items():
            folder = selection.workspace.store(selection.edition.name, set_name, machine) / "features"
            title = f"{method.frontend.name} {machine} {set_name}"
            with selection.ui.progress(title, len(store.clips)) as progress, selection.workspace.lock(folder):
                tally = Tally(progress)
                features.append(
                    cached_features(store, method.frontend, method.channel, folder, selection.device, tally)
                )
            computed += tally.count
            tables.append(store.clips)
    return FeatureData(concat(tables), features, computed)


def run(selection: Selection) -> list[Done]:
    """Bring stores and features of every selected machine up to date."""
    done = []
    for machine in selection.machines:
        computed = 0
        for member in selection.members:
            computed += feature_data(selection, selection.method(member, machine), (machine,)).computed
        folder = selection.workspace.root / "store" / selection.edition.name
        done.append(Done(machine, f"{folder}/*/{machine}", computed == 0))
    return done
