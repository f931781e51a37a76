"""`asd bank`: new normal clips for the bank of a finished run, without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from asdcli.audio.clips import ClipTable, concat
from asdcli.audio.portrait import Portrait, portrait, stacked
from asdcli.audio.store import scaled
from asdcli.audio.windows import windows
from asdcli.detection.bank import joined
from asdcli.errors import UserError
from asdcli.stages.predicting import predict, predictors, threshold
from asdcli.stages.predicting.added import SPLIT, Added, forget_newest, read_added, version_of, write_added
from asdcli.stages.predicting.network import Network
from asdcli.stages.predicting.set_thresholds import SetThreshold, bank_print, read_set
from asdcli.stages.predicting.threshold import Wish
from asdcli.stages.runs import Run, run_of
from asdcli.stages.selection import Selection

Domain = Literal["source", "target"]
Kept = dict[str, dict[str, SetThreshold]]  # thresholds by detector and section


@dataclass(frozen=True)
class BankNow:
    """A machine's bank as it is now: its version, how many training clips and how many added ones."""

    member: str
    machine: str
    version: int
    training_clips: int
    added_clips: int


def add(selection: Selection, files: Sequence[Path], section: str | None = None, domain: Domain = "source") -> BankNow:
    """Add normal sounds to the bank of the selection's first member and only machine, as a new version of it.

    Longer files are cut into windows as long as clips are. Thresholds that were set are made anew.
    """
    predictor = predict.predictor_of(selection)
    member, machine = selection.members[0], predictor.about.machine
    run = run_of(selection, member, machine)
    network = Network(run.folder, run.method, machine, selection.device, predictor.workspace, predictor.ui)
    parts = []
    for path in files:
        here = predictors.section_of(predictor, path, section)
        for window in windows(path, predictor.about.length, predictor.about.length):
            name = f"{machine}/{SPLIT}/{path.name}" + (f" at {window.seconds[0]:.1f} s" if window.begin else "")
            clip = _clip(name, machine, here, domain)
            heard = stacked([portrait(scaled(window.samples, run.method.channel))])
            parts.append(Added(clip, network.embed([window.samples], here), heard))
    before = _kept(selection, run, machine)
    with selection.workspace.lock(run.folder):
        known = read_added(run.folder, machine)
        write_added(run.folder, machine, _joined([known, *parts] if known else parts))
    return _redone(selection, run, machine, before)


def undo(selection: Selection) -> BankNow:
    """Go back to the version of the bank before the newest, and make the thresholds that were set anew."""
    machine = _only(selection)
    run = run_of(selection, selection.members[0], machine)
    before = _kept(selection, run, machine)
    with selection.workspace.lock(run.folder):
        forget_newest(run.folder, machine)
    return _redone(selection, run, machine, before)


def now(selection: Selection, machine: str) -> BankNow:
    """The bank of a machine as it is."""
    from asdcli.stages.features import open_stores

    run = run_of(selection, selection.members[0], machine)
    added = read_added(run.folder, machine)
    trained = int((open_stores(selection, machine).clips.split == "train").sum())
    return BankNow(run.member, machine, version_of(run.folder, machine), trained, len(added.clips) if added else 0)


def _only(selection: Selection) -> str:
    if len(selection.machines) > 1:
        raise UserError(f"The bank of which machine? There are {', '.join(selection.machines)}.", "--machine")
    return selection.machines[0]


def _kept(selection: Selection, run: Run, machine: str) -> Kept:
    """The thresholds that are set now."""
    detectors = selection.method(run.member, machine).detectors
    return {
        name: read_set(selection.ui, run.folder, machine, name, bank_print(selection, run, machine, name))
        for name in detectors
    }


def _redone(selection: Selection, run: Run, machine: str, before: Kept) -> BankNow:
    """Thresholds as they were asked for, of the bank as it is now."""
    one = replace(selection, members=(run.member,), machines=(machine,))
    for detector, sections in before.items():
        for section, kept in sections.items():
            wish = Wish(kept.said, rate=kept.wanted, value=kept.value if kept.wanted is None else None)
            threshold.run(one, wish, detector, section)
    return now(one, machine)


def _clip(name: str, machine: str, section: str, domain: Domain) -> ClipTable:
    columns = {"path": name, "machine": machine, "section": section, "domain": domain, "split": SPLIT}
    return ClipTable.from_columns(
        {**{key: [value] for key, value in columns.items()}, "label": [0], "attributes": [{}]}
    )


def _joined(parts: Sequence[Added]) -> Added:
    arrays = joined([part.embeddings for part in parts])
    heard = [part.portraits[row] for part in parts for row in range(len(part.portraits))]
    portraits: Portrait = stacked(heard)
    return Added(concat([part.clips for part in parts]), arrays, portraits)
