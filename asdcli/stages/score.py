"""`asd score`: embeddings to the challenge's score and decision files, for every detector of every member.

A score folder holds `dev/` and `eval/` with the official CSVs of the edition, and `train/` with each training clip's
score against a bank without it, in the same form: thresholds and score normalisation come from there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from asdcli.audio.clips import ClipTable
from asdcli.audio.units import clip_name, units_of
from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import decision_name, score_name, write_values
from asdcli.detection.detectors import DETECTORS
from asdcli.detection.thresholds import THRESHOLDS
from asdcli.recipe.components import code_digest
from asdcli.recipe.schema import Detector, Method
from asdcli.stages import embed
from asdcli.stages.embed import Embedded, load_embedded
from asdcli.stages.features import ClipData
from asdcli.stages.selection import Done, Selection
from asdcli.workspace.made import Made, digest
from asdcli.workspace.places import SETS

SCORING = 1  # to be raised when this stage makes other scores of the same embeddings than before


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
                made_from = digest(
                    {
                        "embeddings": Made(source).fingerprint(),
                        "detector": detector.model_dump(mode="json"),
                        "threshold": method.threshold.model_dump(mode="json"),
                        "code": [code_digest(DETECTORS[detector.name]), code_digest(THRESHOLDS[method.threshold.name])],
                        "numbers": {"scoring": SCORING},
                    }
                )
                with selection.workspace.lock(folder):
                    fresh = Made(folder).is_fresh(made_from, machine)
                    if not fresh:
                        embedded = embedded or load_embedded(source, selection.sets_of(machine))
                        labels = _labels(selection, member, machine) if _needs_labels(detector) else None
                        files = _score(selection.edition, method, detector, embedded, labels, folder)
                        Made(folder).write(made_from, files, machine)
                done.append(Done(f"{member}/{name} {machine}", str(folder), fresh))
    return done


def score_folder(selection: Selection, member: str, detector: str) -> Path:
    return selection.workspace.scores(selection.label, selection.edition.name, member, detector, selection.seed)


def _needs_labels(detector: Detector) -> bool:
    return getattr(DETECTORS[detector.name], "needs_labels", False)


def _labels(selection: Selection, member: str, machine: str) -> np.ndarray:
    """Class numbers of the machine's clips, in the order of its embeddings: as in training, which may have been over
    the clips of several machines.
    """
    group, machines = next((name, found) for name, found in selection.groups(member).items() if machine in found)
    method = selection.method(member, group if group in machines else None)
    data = ClipData(selection, method, machines)
    return data.labels[data.clips.machine == machine]


def _score(
    edition: Edition,
    method: Method,
    detector: Detector,
    embedded: Embedded,
    labels: np.ndarray | None,
    folder: Path,
) -> list[str]:
    """Write the train, dev and eval files of one machine; returns their names below the folder."""
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
        thresholds[here] = fitted.threshold
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
