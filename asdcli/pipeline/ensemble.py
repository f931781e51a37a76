"""`asd ensemble`: score files of several systems to the fused score and decision files.

Each system's scores are normalised per machine and section, with the statistics of its training clips unless asked
otherwise, and averaged with weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from asdcli.challenge.editions import Edition
from asdcli.challenge.scorefiles import Unit, decision_name, score_name, write_values
from asdcli.errors import UserError
from asdcli.fusion import Normalisation, fuse, z_score
from asdcli.pipeline.scorefolders import ScoreFolder, Values
from asdcli.ui import Ui
from asdcli.workspace import SETS, Made, fingerprint, write_atomic

Norm = Literal["train", "test", "none"]
Group = tuple[str, str]  # machine and section


@dataclass(frozen=True)
class Fused:
    """What was written: the folder, the weights by system, and the sets it holds."""

    out: Path
    weights: dict[str, float]
    sets: tuple[str, ...]


def run(
    ui: Ui,
    edition: Edition,
    folders: Sequence[ScoreFolder],
    weights: Mapping[str, float],
    norm: Norm,
    out: Path,
    oracle: bool = False,
) -> Fused:
    """Fuse the folders' scores of every set they all hold and write them to `out` in the edition's form."""
    names = [folder.name for folder in folders]
    if len(set(names)) != len(names):
        raise UserError(f"Two systems are called {max(names, key=names.count)}; rename a folder.")
    used = [folder for folder in folders if weights.get(folder.name, 0) > 0]
    sets = [name for name in SETS if all(folder.scores.get(name) for folder in used)]
    if not sets:
        raise UserError("The systems have no set in common.", "asd score brings the members of a recipe up to date.")
    if norm == "test":
        ui.warn(
            "Scores are normalised with statistics of the test clips: against the challenge rules on evaluation sets."
        )
    relative = [float(weights[folder.name]) for folder in used]
    shares = {folder.name: weight / sum(relative) for folder, weight in zip(used, relative, strict=True)}
    about: dict[str, Any] = {"edition": edition.name, "normalisation": norm, "oracle": oracle, "weights": shares}
    made_from = fingerprint({**about, "sources": [_content(folder) for folder in used]})
    if not Made(out).is_fresh(made_from):
        files = _write(ui, edition, used, relative, norm, sets, out)
        write_atomic(out / "weights.yaml", yaml.safe_dump(about, sort_keys=False).encode())
        _remove_others(out, files)
        sources = {folder.name: str(folder.path) for folder in used}
        Made(out).write(made_from, ["weights.yaml", *files], sources=sources, **about)
    return Fused(out, shares, tuple(sets))


def _write(
    ui: Ui,
    edition: Edition,
    folders: Sequence[ScoreFolder],
    weights: Sequence[float],
    norm: Norm,
    sets: Sequence[str],
    out: Path,
) -> list[str]:
    """Write the fused files of all sets and of the training clips; returns their names below `out`."""
    trains = [folder.read_train() for folder in folders]
    _need_training_scores(folders, trains, norm)
    files = []
    for set_name in sets:
        scores = _aligned(folders, set_name)
        norms = _normalisations(trains if norm == "train" else scores, norm)
        train = _fuse_training(trains, norms, weights)
        for unit, (clips, _) in scores[0].items():
            values = _fuse(unit, [system[unit][1] for system in scores], norms, weights)
            files.append(f"{set_name}/{score_name(edition, unit)}")
            write_values(out / files[-1], clips, values)
            if edition.decision_file is None:
                continue
            decisions = _decide(unit, clips, values, train, folders, weights, set_name)
            if decisions is None:
                ui.warn(f"{unit}: no training scores and no decision files to decide from; only scores are written.")
                continue
            files.append(f"{set_name}/{decision_name(edition, unit)}")
            write_values(out / files[-1], clips, decisions)
        for unit, values in train.items():
            files.append(f"train/{score_name(edition, unit)}")
            write_values(out / files[-1], trains[0][unit][0], values)
    return files


def _content(folder: ScoreFolder) -> str:
    """A hash of every file that a fusion reads."""
    hashed = hashlib.sha256()
    for files in (*folder.scores.values(), *folder.decisions.values(), folder.train):
        for path in files.values():
            hashed.update(path.name.encode() + path.read_bytes())
    return hashed.hexdigest()


def _remove_others(out: Path, files: Sequence[str]) -> None:
    """Files of an earlier fusion in this folder that this one does not have; nobody else's files are touched."""
    before = Made(out).read().get("all", {}).get("files", [])
    for name in set(before) - {*files, "weights.yaml"}:
        (out / name).unlink(missing_ok=True)


def _need_training_scores(folders: Sequence[ScoreFolder], trains: Sequence[dict[Unit, Values]], norm: Norm) -> None:
    for folder, train in zip(folders, trains, strict=True):
        if norm == "train" and not train:
            raise UserError(
                f"{folder.path} holds no scores of training clips (train/), which --norm train needs.",
                "--norm none, or --norm test (against the rules on evaluation sets)",
            )


def _aligned(folders: Sequence[ScoreFolder], set_name: str) -> list[dict[Unit, Values]]:
    """Every system's scores with the clips in the order of the first. Different units or clips are an error."""
    first, *rest = [folder.read(set_name) for folder in folders]
    aligned = [first]
    for folder, scores in zip(folders[1:], rest, strict=True):
        if scores.keys() != first.keys():
            odd = sorted(scores.keys() ^ first.keys())[0]
            raise UserError(f"{folders[0].path} and {folder.path} do not hold the same files: {odd} is in one only.")
        aligned.append({unit: _in_order(first[unit][0], scores[unit], folder, unit) for unit in first})
    return aligned


def _in_order(clips: list[str], values: Values, folder: ScoreFolder, unit: Unit) -> Values:
    if values[0] == clips:
        return values
    row = {name: number for number, name in enumerate(values[0])}
    if row.keys() != set(clips):
        odd = sorted(row.keys() ^ set(clips))[0]
        raise UserError(f"{folder.path}: the clips of {unit} are not those of the other systems, for example {odd}.")
    return clips, values[1][[row[name] for name in clips]]


def _normalisations(sources: Sequence[Mapping[Unit, Values]], norm: Norm) -> list[dict[Group, Normalisation]]:
    """Per system: one normalisation per machine and section, from the pooled scores of its units."""
    if norm == "none":
        return [{} for _ in sources]
    result = []
    for source in sources:
        pooled: dict[Group, list[np.ndarray]] = {}
        for unit, (_, values) in source.items():
            pooled.setdefault((unit.machine, unit.section), []).append(values)
        result.append({group: z_score(np.concatenate(parts)) for group, parts in pooled.items()})
    return result


def _fuse(
    unit: Unit, scores: Sequence[np.ndarray], norms: Sequence[dict[Group, Normalisation]], weights: Sequence[float]
) -> np.ndarray:
    group = (unit.machine, unit.section)
    for norm in norms:
        if norm and group not in norm:
            raise UserError(f"There are no training scores of {unit}.", "--norm none, or asd score")
    normed = [norm[group](values) if norm else values for norm, values in zip(norms, scores, strict=True)]
    return fuse(normed, weights)


def _fuse_training(
    trains: Sequence[dict[Unit, Values]], norms: Sequence[dict[Group, Normalisation]], weights: Sequence[float]
) -> dict[Unit, np.ndarray]:
    """Fused scores of the training clips, for units whose clips every system scored in the same order."""
    fused = {}
    for unit, (clips, _) in trains[0].items():
        if all(train.get(unit, ([],))[0] == clips for train in trains):
            fused[unit] = _fuse(unit, [train[unit][1] for train in trains], norms, weights)
    return fused


def _decide(
    unit: Unit,
    clips: list[str],
    values: np.ndarray,
    train: Mapping[Unit, np.ndarray],
    folders: Sequence[ScoreFolder],
    weights: Sequence[float],
    set_name: str,
) -> np.ndarray | None:
    """1 above the gamma threshold of the section's fused training scores; without those, the weighted vote."""
    from asdcli.detection.thresholds import gamma_threshold

    own = [scores for key, scores in train.items() if (key.machine, key.section) == (unit.machine, unit.section)]
    if own:
        return (values > gamma_threshold(np.concatenate(own))).astype(int)
    votes = []
    for folder in folders:
        decisions = folder.read_decisions(set_name)
        if unit not in decisions:
            return None
        votes.append(_in_order(clips, decisions[unit], folder, unit)[1])
    return (fuse(votes, weights) >= 0.5).astype(int)
