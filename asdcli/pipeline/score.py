"""`asd score`: embeddings to the challenge's score and decision files, for every detector of every member.

A score folder holds `dev/` and `eval/` with the official CSVs of the edition, and `train/` with each training clip's
score against a bank without it, in the same form: thresholds and score normalisation come from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asdcli.audio.clips import ClipTable, concat
from asdcli.challenge.editions import Edition
from asdcli.challenge.scorefiles import decision_name, score_name, write_values
from asdcli.components import build
from asdcli.detection import DETECTORS, THRESHOLDS
from asdcli.detection.bank import Bank, Embeddings
from asdcli.pipeline import embed
from asdcli.pipeline.selection import Done, Selection
from asdcli.pipeline.units import clip_name, units_of
from asdcli.recipe import Detector, Method
from asdcli.workspace import Made, fingerprint


@dataclass(frozen=True)
class Embedded:
    """All clips of one machine: table, set of each clip, embeddings."""

    clips: ClipTable
    set_name: np.ndarray
    embeddings: Embeddings

    def take(self, rows: np.ndarray) -> Embeddings:
        return {name: values[rows] for name, values in self.embeddings.items()}


def run(selection: Selection) -> list[Done]:
    """Embed what is missing, then score what is stale; one entry per member, detector and machine."""
    embed.run(selection)
    done = []
    for member in selection.members:
        for machine in selection.machines:
            method = selection.method(member, machine)
            source = embed.embedding_folder(selection, member, machine)
            embedded: Embedded | None = None
            for name, detector in method.detectors.items():
                folder = score_folder(selection, member, name)
                made_from = fingerprint(
                    {
                        "embeddings": Made(source).fingerprint(),
                        "detector": detector.model_dump(mode="json"),
                        "threshold": method.threshold.model_dump(mode="json"),
                    }
                )
                with selection.workspace.lock(folder):
                    fresh = Made(folder).is_fresh(made_from, machine)
                    if not fresh:
                        embedded = embedded or _load(source, selection.sets_of(machine))
                        files = _score(selection.edition, method, detector, machine, embedded, folder)
                        Made(folder).write(made_from, files, machine)
                done.append(Done(f"{member}/{name} {machine}", str(folder), fresh))
    return done


def score_folder(selection: Selection, member: str, detector: str) -> Path:
    return selection.workspace.scores(selection.label, selection.edition.name, member, detector, selection.seed)


def _load(folder: Path, sets: list[str]) -> Embedded:
    tables, arrays, names = [], [], []
    for set_name in sets:
        clips, embeddings = embed.load(folder, set_name)
        tables.append(clips)
        arrays.append(embeddings)
        names += [set_name] * len(clips)
    joined = {name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]}
    return Embedded(concat(tables), np.array(names), joined)


def _score(
    edition: Edition, method: Method, detector: Detector, machine: str, embedded: Embedded, folder: Path
) -> list[str]:
    """Write the train, dev and eval files of one machine; returns their names below the folder."""
    clips = embedded.clips
    scores = np.full(len(clips), np.nan)
    thresholds = np.full(len(clips), np.nan)
    is_train, is_test = clips.split == "train", clips.split == "test"
    for section in np.unique(clips.section[is_test | is_train]):
        here = clips.section == section
        bank_rows = np.flatnonzero(is_train & here) if detector.per == "section" else np.flatnonzero(is_train)
        if not len(bank_rows):  # a section without training clips is scored against all of the machine's
            bank_rows = np.flatnonzero(is_train)
        model = build(DETECTORS, "detector", detector)
        bank = Bank(embedded.take(bank_rows), clips.domain[bank_rows], clips.section[bank_rows])
        model.fit(bank)
        own, test = model.score_bank(), np.flatnonzero(is_test & here)
        in_section = clips.section[bank_rows] == section
        scores[bank_rows[in_section]] = own[in_section]
        if len(test):
            scores[test] = model.score(embedded.take(test))
        thresholds[here] = build(
            THRESHOLDS, "threshold", method.threshold, own[in_section] if in_section.any() else own
        )
    files = []
    for part, mask in {"train": is_train, **{s: is_test & (embedded.set_name == s) for s in ("dev", "eval")}}.items():
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
        path.parent.mkdir(parents=True, exist_ok=True)
        write_values(path, names, scores[rows])
        written.append(f"{part}/{path.name}")
        if edition.decision_file and part != "train":
            decided = path.with_name(decision_name(edition, unit))
            write_values(decided, names, (scores[rows] > thresholds[rows]).astype(int))
            written.append(f"{part}/{decided.name}")
    return written
