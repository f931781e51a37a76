"""Folders of score files as systems to evaluate, fuse and submit: ours, or another team's.

Our own folders hold `dev/`, `eval/` and `train/`; any other folder holds the CSVs themselves, and each file belongs to
the set that its machine and section belong to.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from asdcli.challenge.editions.edition import Edition, set_of
from asdcli.challenge.editions.scorefiles import Unit, find_decision_files, find_score_files, read_values, stray_files
from asdcli.errors import UserError, unknown
from asdcli.ui import Ui
from asdcli.workspace.made import Made
from asdcli.workspace.places import SETS, Workspace, plain_name

Values = tuple[list[str], np.ndarray]  # clip names, and one value for each


@dataclass(frozen=True)
class ScoreFolder:
    """One system's files: by set and unit, and the scores of its training clips by unit.

    turned: machines and sections whose scores count with the opposite sign. gone: clips of the files that are read as
    if they were not there.
    """

    name: str
    path: Path
    scores: dict[str, dict[Unit, Path]]
    decisions: dict[str, dict[Unit, Path]]
    train: dict[Unit, Path]
    turned: frozenset[tuple[str, str]] = frozenset()
    gone: frozenset[tuple[Unit, str]] = frozenset()

    @property
    def family(self) -> Path:
        """The folder of the same system trained with any seed."""
        return _family(self.path)

    def only(self, machines: Collection[str]) -> ScoreFolder:
        """The same system on some machine types. Raises UserError when it has no scores of one of them."""

        def kept(files: dict[Unit, Path]) -> dict[Unit, Path]:
            return {unit: path for unit, path in files.items() if unit.machine in machines}

        scored = {unit.machine for files in self.scores.values() for unit in files}
        for machine in machines:
            if machine not in scored:
                raise unknown(f"machine in {self.path}", machine, sorted(scored))
        return replace(
            self,
            scores={name: kept(files) for name, files in self.scores.items()},
            decisions={name: kept(files) for name, files in self.decisions.items()},
            train=kept(self.train),
        )

    def turn(self, sections: Collection[tuple[str, str]]) -> ScoreFolder:
        """The same system with the scores of some machines' sections turned, and without its decisions there."""
        decisions = {
            name: {unit: path for unit, path in files.items() if (unit.machine, unit.section) not in sections}
            for name, files in self.decisions.items()
        }
        return replace(self, decisions=decisions, turned=frozenset(sections))

    def read(self, set_name: str) -> dict[Unit, Values]:
        return {unit: self._values(unit, path) for unit, path in self.scores.get(set_name, {}).items()}

    def read_decisions(self, set_name: str) -> dict[Unit, Values]:
        return {unit: self._there(unit, path) for unit, path in self.decisions.get(set_name, {}).items()}

    def read_train(self) -> dict[Unit, Values]:
        return {unit: self._values(unit, path) for unit, path in self.train.items()}

    def _values(self, unit: Unit, path: Path) -> Values:
        clips, scores = self._there(unit, path)
        return clips, -scores if (unit.machine, unit.section) in self.turned else scores

    def _there(self, unit: Unit, path: Path) -> Values:
        clips, values = read_values(path)
        rows = [row for row, clip in enumerate(clips) if (unit, clip) not in self.gone]
        return ([clips[row] for row in rows], values[rows]) if len(rows) < len(clips) else (clips, values)


def open_score_folder(workspace: Workspace, ui: Ui, path: Path, edition: Edition) -> ScoreFolder:
    """Find the score and decision files in a folder. Raises UserError when it holds none of the edition."""
    if not path.is_dir():
        raise UserError(f"There is no folder {path}.")
    sets = [name for name in SETS if (path / name).is_dir()]
    if sets:
        scores = {name: find_score_files(path / name, edition) for name in sets}
        decisions = {name: find_decision_files(path / name, edition) for name in sets}
    else:
        scores = _by_set(find_score_files(path, edition), edition)
        decisions = _by_set(find_decision_files(path, edition), edition)
        strays = stray_files(path, edition)
        if strays:
            ui.warn(f"{len(strays)} files in {path} are of no machine of {edition.name}, such as {strays[0].name}")
    train = find_score_files(path / "train", edition) if (path / "train").is_dir() else {}
    if not any(scores.values()):
        template = edition.score_file
        raise UserError(f"{path} holds no score files of {edition.name} (named like {template}).", "asd score")
    return ScoreFolder(_name(workspace, path), path, scores, decisions, train)


def below_root(workspace: Workspace, path: Path) -> tuple[str, ...]:
    """The parts of a path below the root; none for a path elsewhere."""
    try:
        return path.resolve().relative_to(workspace.root.resolve()).parts
    except ValueError:
        return ()


def profiles_of(workspace: Workspace, path: Path) -> set[str]:
    """Profiles other than the full recipe that made the scores in a folder, or those they were fused from."""
    folders = [path]
    for folder in folders:  # which grows by what each was fused from
        folders += [source for source in fused_from(folder) if source not in folders]
    return {_profile(below_root(workspace, folder)) for folder in folders} - {""}


def fused_from(folder: Path) -> list[Path]:
    """The folders of the systems that count in a fusion; none of what is no fusion, or does not tell."""
    made = Made(folder).read().get("all", {})
    sources, weights = made.get("sources"), made.get("weights")
    if not isinstance(sources, dict) or not isinstance(weights, dict):
        return []
    return [Path(source) for name, source in sources.items() if name in weights and isinstance(source, str)]


def is_written_here(folder: Path, name: str) -> bool:
    """Whether a name in the notes of a score folder is that of a file that asd writes there: notes may be damaged."""
    part, _, file_name = name.partition("/")
    return part in ("train", *SETS) and plain_name(file_name) and (folder / name).is_file()


def _profile(parts: tuple[str, ...]) -> str:
    """As the second part tells it: of `scores/<recipe>@<profile>` or `ensembles/<recipe>@<profile>.<system>`."""
    return (
        parts[1].partition("@")[2].partition(".")[0] if len(parts) > 1 and parts[0] in ("scores", "ensembles") else ""
    )


def _name(workspace: Workspace, path: Path) -> str:
    """`member/detector` for our own score folders, else the folder's name; a seed other than 0 is told."""
    parts = below_root(workspace, path)
    seed = "" if _family(path) == path or path.name == "seed_0" else f" {path.name}"
    if len(parts) >= 6 and parts[0] == "scores":
        return f"{parts[3]}/{parts[4]}{seed}"
    return f"{_family(path).name}{seed}" if parts[:1] != ("ensembles",) else f"ensemble {parts[1]}"


def _family(path: Path) -> Path:
    return path.parent if re.fullmatch(r"seed_\d+", path.name) else path


def _by_set(files: dict[Unit, Path], edition: Edition) -> dict[str, dict[Unit, Path]]:
    sets: dict[str, dict[Unit, Path]] = {}
    for unit, path in files.items():
        sets.setdefault(set_of(edition, unit.machine, unit.section), {})[unit] = path
    return sets
