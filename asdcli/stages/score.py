"""`asd score`: embeddings to the challenge's score and decision files, for every detector of every member.

A score folder holds `dev/` and `eval/` with the official CSVs of the edition, and `train/` with each training clip's
score against a bank without it, in the same form: thresholds and score normalisation come from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from asdcli.audio.clips import ClipTable
from asdcli.audio.units import clip_name, units_of
from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import decision_name, score_name, write_values
from asdcli.recipe.schema import Detector, Method
from asdcli.scores.folders import is_written_here
from asdcli.stages import embed
from asdcli.stages.embed import Embedded, load_embedded
from asdcli.stages.predicting.added import print_of
from asdcli.stages.predicting.set_thresholds import bank_print, read_set
from asdcli.stages.runs import Run, run_of
from asdcli.stages.selection import Done, Selection, warn_of_damage
from asdcli.stages.train import run_labels
from asdcli.training.labels import CLASS
from asdcli.workspace.made import Made, digest
from asdcli.workspace.places import SETS, plain_name

SCORING = 1  # to be raised when this stage makes other scores of the same embeddings than before


def run(selection: Selection) -> list[Done]:
    """Embed what is missing, then score what is stale; one entry per member, detector and machine."""
    embed.run(selection)
    done = []
    for member in selection.members:
        for machine in selection.machines:
            method = selection.method(member, machine)
            scoring = _Scoring(selection, member, machine, method)
            done += [scoring.bring_up_to_date(name, detector) for name, detector in method.detectors.items()]
    for folder in dict.fromkeys(entry.path for entry in done):
        _remove_gone(selection, Path(folder))
    return done


def score_folder(selection: Selection, member: str, detector: str) -> Path:
    return selection.workspace.scores(selection.label, selection.edition.name, member, detector, selection.seed)


def _remove_others(selection: Selection, folder: Path, machine: str, files: list[str]) -> list[str]:
    """Remove score files of sections that a machine no longer has; returns those of sets that were not worked on, be
    it that nobody asked for them, or that they are unplugged.
    """
    workspace, edition = selection.workspace, selection.edition.name
    before = Made(folder).read().get(machine, {}).get("files", [])
    unasked = [name for name in workspace.sets(edition) if name not in selection.sets]
    resting = [name for name in unasked if (workspace.raw(edition, name) / machine).is_dir()]
    resting += workspace.unplugged(edition)
    others = [name for name in before if name not in files]
    kept = [name for name in others if name.partition("/")[0] in resting and (folder / name).is_file()]
    _remove(selection, folder, [name for name in others if name not in kept])
    return kept


def _remove_gone(selection: Selection, folder: Path) -> None:
    """Remove the scores of machines that are in no set of the data any more; not while a set is unplugged."""
    workspace, edition = selection.workspace, selection.edition.name
    if workspace.unplugged(edition):
        return
    raws = [workspace.raw(edition, name) for name in workspace.sets(edition)]
    made = Made(folder)

    def gone() -> list[str]:
        return [name for name in made.read() if plain_name(name) and not any((raw / name).is_dir() for raw in raws)]

    if not gone():
        return
    with workspace.lock(folder):
        for machine in gone():
            _remove(selection, folder, made.read()[machine]["files"])
            made.forget(machine)


def _remove(selection: Selection, folder: Path, names: list[str]) -> None:
    """Of the files that were noted as written here, and of nothing else: notes may be damaged."""
    there = [name for name in names if is_written_here(folder, name)]
    if there:
        selection.ui.warn(
            f"{len(there)} score files in {folder} are of what is no longer in the data: removed (first: {there[0]})."
        )
    for name in there:
        (folder / name).unlink()


@dataclass(frozen=True)
class _Scoring:
    """The scores of a member on a machine, detector by detector, from embeddings that are read once."""

    selection: Selection
    member: str
    machine: str
    method: Method

    def bring_up_to_date(self, name: str, detector: Detector) -> Done:
        folder = score_folder(self.selection, self.member, name)
        traits = self.selection.traits(self.method).detectors[name]
        made_for = bank_print(self.selection, self._run, self.machine, name)
        kept = read_set(self.selection.ui, self._run.folder, self.machine, name, made_for)
        set_values = {section: one.value for section, one in kept.items()}
        made_from = digest(
            {
                **({"set": set_values} if set_values else {}),
                **({"added": added} if (added := print_of(self._run.folder, self.machine)) else {}),
                "embeddings": Made(embed.embedding_folder(self.selection, self.member, self.machine)).fingerprint(),
                "detector": detector.model_dump(mode="json"),
                "threshold": self.method.threshold.model_dump(mode="json"),
                "code": traits["code"],
                "numbers": {"scoring": SCORING},
            }
        )

        def make() -> None:
            warn_of_damage(self.selection.ui, Made(folder), made_from, self.machine)
            labels = self._labels if traits["needs_labels"] else None
            files = _score(self.selection.edition, self.method, detector, self._embedded, labels, set_values, folder)
            kept = _remove_others(self.selection, folder, self.machine, files)
            Made(folder).write(made_from, files + kept, self.machine)

        fresh = self.selection.workspace.bring_up_to_date(
            folder, lambda: Made(folder).is_fresh(made_from, self.machine), make
        )
        return Done(f"{self.member}/{name} {self.machine}", str(folder), fresh)

    @cached_property
    def _embedded(self) -> Embedded:
        return load_embedded(self.selection, self.member, self.machine)

    @cached_property
    def _labels(self) -> np.ndarray:
        """Class of each of the machine's clips, in the order of its embeddings, as it was learnt."""
        return run_labels(self.selection, self._run)[CLASS].numbers(self._embedded.clips)

    @cached_property
    def _run(self) -> Run:
        return run_of(self.selection, self.member, self.machine)


def _score(
    edition: Edition,
    method: Method,
    detector: Detector,
    embedded: Embedded,
    labels: np.ndarray | None,
    set_values: Mapping[str, float],
    folder: Path,
) -> list[str]:
    """Write the train, dev and eval files of one machine; returns their names below the folder.

    set_values: thresholds that were set, by section.
    """
    clips = embedded.clips
    scores = np.full(len(clips), np.nan)
    thresholds = np.full(len(clips), np.nan)
    is_train, is_test = clips.split == "train", clips.split == "test"
    for section in np.unique(clips.section[is_test | is_train]):
        here = clips.section == section
        fitted = embedded.fitted(method, detector, section, labels)
        in_section = here[fitted.rows]
        scores[fitted.rows[in_section]] = fitted.own[in_section]
        if (test := np.flatnonzero(is_test & here)).size:
            scores[test] = fitted.detector.score(embedded.take(test))
        thresholds[here] = set_values.get(section, fitted.threshold)
    files = []
    for part, mask in {"train": is_train, **{s: is_test & (embedded.set_name == s) for s in SETS}}.items():
        rows = np.flatnonzero(mask)
        files += _write(edition, folder, part, clips.select(rows), scores[rows], thresholds[rows])
    return files


def _write(
    edition: Edition, folder: Path, part: str, clips: ClipTable, scores: np.ndarray, thresholds: np.ndarray
) -> list[str]:
    written = []
    for unit, rows in units_of(edition, clips).items():
        names = [clip_name(path) for path in clips.path[rows]]
        path = folder / part / score_name(edition, unit)
        write_values(path, names, scores[rows])
        written.append(f"{part}/{path.name}")
        if edition.decision_file and part != "train":
            decided = path.with_name(decision_name(edition, unit))
            write_values(decided, names, (scores[rows] > thresholds[rows]).astype(int))
            written.append(f"{part}/{decided.name}")
    return written
