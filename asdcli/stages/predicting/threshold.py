"""`asd threshold`: from scores of normal clips to a threshold with a promise, kept with the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asdcli.audio.days import days_of
from asdcli.audio.windows import windows
from asdcli.detection.conformal import Calibration, Threshold
from asdcli.detection.fitted import FittedSection
from asdcli.errors import UserError, unknown
from asdcli.stages import embed
from asdcli.stages.embed import Embedded, load_embedded
from asdcli.stages.predicting.added import SPLIT
from asdcli.stages.predicting.network import Network
from asdcli.stages.predicting.predictors import clip_length, learns
from asdcli.stages.predicting.set_thresholds import SetThreshold, bank_print, read_set, write_set
from asdcli.stages.runs import Run, run_of
from asdcli.stages.selection import Selection
from asdcli.stages.train import run_labels
from asdcli.training.labels import CLASS

LEFT_OUT, BY_DAY, LEARNT = "each left out", "days left out", "clips it has learnt from"
HELD_OUT, ADDED = "held-out clips", "added clips, each left out"


@dataclass(frozen=True)
class Wish:
    """What was asked for: a rate of false alarms per clip, or a value of the score. said: in the user's words."""

    said: str
    rate: float | None = None
    value: float | None = None


@dataclass(frozen=True)
class Found:
    """The threshold of a section, as it is set now; None where the recipe's rule decides. days: so many were left out,
    one after the other; 0 where nothing tells days.
    """

    member: str
    detector: str
    machine: str
    section: str
    threshold: SetThreshold | None
    days: int = 0

    @property
    def conformal(self) -> Threshold | None:
        """What stands behind the promise."""
        one = self.threshold
        if one is None or one.wanted is None:
            return None
        return Threshold(one.value, one.clips, one.rank, one.wanted)


def run(
    selection: Selection,
    wish: Wish,
    detector: str | None = None,
    section: str | None = None,
    held_out: Sequence[Path] = (),
) -> list[Found]:
    """Set the thresholds of sections of the selected machines, and keep them with their runs.

    Args:
        detector: by its name in the recipe; None for all.
        section: None for all.
        held_out: normal sounds that are no training clips, in files; each is cut into windows as long as clips are.
    """
    pairs = _systems(selection, detector)
    if wish.value is not None and len(pairs) > 1:
        names = ", ".join(f"{member}/{name}" for member, name in pairs)
        raise UserError(
            f"{wish.value:g} is a value of one score, and the recipe has several: {names}.", "--member and --detector"
        )
    if held_out and len(selection.machines) > 1:
        raise UserError(f"Of which machine are these clips? There are {', '.join(selection.machines)}.", "--machine")
    embed.run(selection)
    return [
        found
        for member, name in pairs
        for machine in selection.machines
        for found in _Machine(selection, member, name, machine).set(wish, section, held_out)
    ]


def current(selection: Selection, detector: str | None = None) -> list[Found]:
    """The thresholds as they are set now; None by section where there is none."""
    found = []
    for member, name in _systems(selection, detector):
        for machine in selection.machines:
            run, made_for = _run_of(selection, member, machine, name)
            kept = read_set(selection.ui, run.folder, machine, name, made_for)
            found += [Found(member, name, machine, section, one) for section, one in kept.items()]
            found += [] if kept else [Found(member, name, machine, "all", None)]
    return found


def unset(selection: Selection, detector: str | None = None) -> list[Found]:
    """Have the recipe's rule decide again."""
    for member, name in _systems(selection, detector):
        for machine in selection.machines:
            run, made_for = _run_of(selection, member, machine, name)
            if read_set(selection.ui, run.folder, machine, name, made_for):
                with selection.workspace.lock(run.folder):
                    write_set(selection.ui, run.folder, machine, name, made_for, {})
    return current(selection, detector)


def windows_of(files: Sequence[Path], length: int) -> list[np.ndarray]:
    """All windows of some files, `[n, channels]` each; what is left at the end of a file counts with what is before."""
    return [window.samples for file in files for window in windows(file, length, length)]


def _run_of(selection: Selection, member: str, machine: str, detector: str) -> tuple[Run, str]:
    run = run_of(selection, member, machine)
    return run, bank_print(selection, run, machine, detector)


def _systems(selection: Selection, detector: str | None) -> list[tuple[str, str]]:
    """Members and detectors that are meant."""
    known = {member: list(selection.method(member, None).detectors) for member in selection.members}
    names = list(dict.fromkeys(name for detectors in known.values() for name in detectors))
    if detector is not None and detector not in names:
        raise unknown(f"detector of recipe {selection.recipe.name}", detector, names)
    return [(member, name) for member, own in known.items() for name in own if detector in (None, name)]


@dataclass(frozen=True)
class _Machine:
    """A detector of a member on one machine."""

    selection: Selection
    member: str
    detector: str
    machine: str

    def set(self, wish: Wish, only: str | None, held_out: Sequence[Path]) -> list[Found]:
        selection = self.selection
        run, made_for = _run_of(selection, self.member, self.machine, self.detector)
        embedded = load_embedded(selection, self.member, self.machine)
        sections = np.unique(embedded.clips.section[np.isin(embedded.clips.split, ("train", "test"))]).tolist()
        if only is not None and only not in sections:
            raise unknown(f"section of {self.machine}", only, sections)
        if held_out and only is None and len(sections) > 1:
            raise UserError(f"Of which section are these clips? {self.machine} has {', '.join(sections)}.", "--section")
        chosen = sections if only is None else [only]
        found = [self._section(run, embedded, section, wish, held_out) for section in chosen]
        with selection.workspace.lock(run.folder):
            kept = read_set(selection.ui, run.folder, self.machine, self.detector, made_for)
            kept |= {one.section: one.threshold for one in found if one.threshold is not None}
            write_set(selection.ui, run.folder, self.machine, self.detector, made_for, kept)
        return found

    def _section(self, run: Run, embedded: Embedded, section: str, wish: Wish, held_out: Sequence[Path]) -> Found:
        about = (self.member, self.detector, self.machine, section)
        if wish.rate is None:
            return Found(*about, SetThreshold(float(wish.value or 0.0), wish.said))
        method, labels = self.selection.method(self.member, self.machine), None
        if self.selection.traits(method).detectors[self.detector]["needs_labels"]:
            labels = run_labels(self.selection, run)[CLASS].numbers(embedded.clips)
        fitted = embedded.fitted(method, method.detectors[self.detector], section, labels)
        scores, source, days = self._scores(run, embedded, fitted, section, held_out)
        made = Calibration(scores).threshold(wish.rate)
        promised = None if source == LEARNT else made.promised
        held = scores.tolist() if source in (HELD_OUT, ADDED) else []
        kept = SetThreshold(made.value, wish.said, source, made.clips, made.rank, made.wanted, promised, held)
        return Found(*about, kept, days)

    def _scores(
        self, run: Run, embedded: Embedded, fitted: FittedSection, section: str, held_out: Sequence[Path]
    ) -> tuple[np.ndarray, str, int]:
        """Scores of normal clips, whose they are, and how many days were left out one after the other."""
        if held_out:
            chosen = self.selection
            network = Network(run.folder, run.method, self.machine, chosen.device, chosen.workspace, chosen.ui)
            length = clip_length(self.selection, self.machine)
            return fitted.detector.score(network.embed(windows_of(held_out, length), section)), HELD_OUT, 0
        if learns(run.method):
            added = fitted.typical[embedded.clips.split[fitted.rows[fitted.typical]] == SPLIT]
            if len(added):
                return fitted.own[added], ADDED, 0
            return fitted.own[fitted.typical], LEARNT, 0
        days = days_of(embedded.clips.select(fitted.rows))
        if days is None or len(set(days.tolist())) < 2:
            return fitted.own[fitted.typical], LEFT_OUT, 0
        of_all = np.zeros(len(embedded.clips), dtype=days.dtype)
        of_all[fitted.rows] = days
        return fitted.own_without(of_all)[fitted.typical], BY_DAY, len(set(days[fitted.typical].tolist()))
