"""Checks of a submission package, whoever made it: each defect in one line.

The official evaluators match rows by position after sorting and skip what is missing, so wrong names pass them
unseen. This check compares the names.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from asdcli.challenge.editions.edition import Edition, edition_names, load_common, load_edition
from asdcli.challenge.editions.scorefiles import VALUE_FILE, Kind, Unit
from asdcli.challenge.submission.filecheck import check_clips, check_values, read_table
from asdcli.challenge.submission.meta_check import check_meta, meta_warnings
from asdcli.challenge.submission.namecheck import Files, check_names, count_files
from asdcli.challenge.submission.package import BrokenPackageError, Package, Problem, and_more, told_once
from asdcli.challenge.submission.team import LABEL_FORM, is_label, parse_label
from asdcli.errors import UserError
from asdcli.workspace.plainyaml import YamlError, parse_yaml

_META_FILE = re.compile(r".*meta\.ya?ml", re.IGNORECASE)


@dataclass(frozen=True)
class Report:
    """What a check found. edition: None when the package could not be read at all. inferred: nobody named the edition.

    systems: the labels found. Warnings do not make a package wrong.
    """

    path: Path
    edition: Edition | None
    inferred: bool = False
    systems: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.level == "error")

    @property
    def ok(self) -> bool:
        return not self.errors


@dataclass
class _System:
    """The folder of one system, the files right in it by name, and its meta file as loaded (None: not readable)."""

    folder: str
    files: list[str] = field(default_factory=list)
    label: str = ""
    meta: tuple[Any] | None = None

    def path(self, file_name: str = "") -> str:
        return "/".join(part for part in (self.folder, file_name) if part) or self.label

    @property
    def meta_file(self) -> str | None:
        return next((name for name in self.files if _META_FILE.fullmatch(name)), None)

    @property
    def csvs(self) -> list[str]:
        return [name for name in self.files if name.lower().endswith(".csv")]

    def meta_label(self) -> str | None:
        """The label that the meta file gives, where that is one."""
        try:
            label = self.meta[0]["submission"]["label"] if self.meta else None
        except (TypeError, KeyError, IndexError):
            return None
        return label if isinstance(label, str) and is_label(label) else None


def check_package(
    path: Path, edition: Edition | None = None, expected: Mapping[Unit, Collection[str]] | None = None
) -> Report:
    """Check a zip or a folder: `task2/<label>/…` at the top or below another folder, or the folder of one system.

    Without an edition, it is inferred from the file names, then from the results in the meta files. `expected` holds
    the names of the evaluation clips where they are known; without them the edition's clip counts are compared.
    Raises UserError when there is nothing at `path`, or when the edition cannot be told.
    """
    try:
        package = Package(path)
    except BrokenPackageError as error:
        return Report(path, edition, problems=(Problem("error", path.name, str(error)),))
    try:
        return _check(package, edition, expected or {})
    finally:
        package.close()


def _check(package: Package, edition: Edition | None, expected: Mapping[Unit, Collection[str]]) -> Report:
    problems = list(package.problems)
    systems = _systems(package)
    if not systems:
        text = "holds no system: there is no folder with anomaly_score_….csv files or a <label>.meta.yaml"
        return Report(package.path, edition, problems=(*problems, Problem("error", package.name, text)))
    for system in systems:
        problems += _read_meta(package, system)
        problems += _settle_label(system)
    known = edition or infer_edition(systems)
    problems += _check_layout(package, systems)
    for system in systems:
        problems += _check_system(package, system, known, expected)
    labels = tuple(system.label for system in systems)
    return Report(package.path, known, edition is None, labels, told_once(problems))


def infer_edition(systems: list[_System]) -> Edition:
    """The edition with the most of its evaluation files there; of several, that which the results in meta files fit.

    Raises UserError when that does not single out one edition.
    """
    names = {name for system in systems for name in system.csvs}
    counts = {name: count_files(load_edition(name), names) for name in edition_names()}
    best = max(counts.values())
    left = [load_edition(name) for name, count in counts.items() if count == best]
    if len(left) > 1:
        left = [e for e in left if any(_results_fit(system.meta, e) for system in systems)] or left
    if len(left) > 1:
        why = (
            f"it may be {' or '.join(e.name for e in left)}"
            if any(best)
            else "no file is named as in any evaluation set"
        )
        raise UserError(f"The edition of this package is not clear: {why}.", "Name it, for example --data dcase2024.")
    return left[0]


def edition_within(path: Path) -> str | None:
    """The name of the edition of a package, if its files tell it."""
    try:
        package = Package(path)
    except (BrokenPackageError, UserError):
        return None
    try:
        return infer_edition(_systems(package)).name
    except UserError:
        return None
    finally:
        package.close()


def _results_fit(meta: tuple[Any] | None, edition: Edition) -> bool:
    try:
        results = dict(meta[0]["results"]["development_dataset"]) if meta else {}
        keys = {key for row in results.values() for key in row}
    except (TypeError, KeyError, IndexError, ValueError):
        return False
    return bool(keys) and keys <= set(edition.result_keys) and set(results) <= set(edition.machines["dev"])


# --- systems, folders, labels ---------------------------------------------------------------------------------------


def _systems(package: Package) -> list[_System]:
    """Folders that hold a meta file or score files, or that are named by a label."""
    found: dict[str, _System] = {}
    for name in package.names:
        folder, _, file_name = name.rpartition("/")
        if VALUE_FILE.fullmatch(file_name) or _META_FILE.fullmatch(file_name) or is_label(_last(folder)):
            found.setdefault(folder, _System(folder))
    for name in package.names:
        folder, _, file_name = name.rpartition("/")
        if folder in found:
            found[folder].files.append(file_name)
    return [found[folder] for folder in sorted(found)]


def _read_meta(package: Package, system: _System) -> Iterator[Problem]:
    if system.meta_file is None:
        return  # told with the label
    where = system.path(system.meta_file)
    try:
        system.meta = (parse_yaml(package.read(where).decode("utf-8"))[1],)
    except BrokenPackageError as error:
        yield Problem("error", where, str(error))
    except UnicodeDecodeError:
        yield Problem("error", where, "is no text file in UTF-8")
    except YamlError as error:
        line, hint = (f"line {error.line}: ", " (check the indentation)") if error.line else ("", "")
        yield Problem("error", where, f"{line}no valid YAML, {error}{hint}")


def _settle_label(system: _System) -> Iterator[Problem]:
    """A system is called as its folder says, or as its meta file says where the folder's name is no label."""
    folder, own = _last(system.folder), system.meta_label()
    system.label = folder if is_label(folder) or not own else own
    if not is_label(folder):
        named = f"the folder is named '{folder}'" if folder else "the files lie in no folder of their own"
        wanted = f"the label in the meta file is '{own}'" if own else f"a label has the form {LABEL_FORM}"
        yield Problem("error", system.path(), f"{named}; {wanted}")
    wanted = f"{system.label}.meta.yaml"
    if system.meta_file is None:
        yield Problem("error", system.path(), f"the meta file '{wanted}' is missing")
    elif wanted not in system.files:
        yield Problem("error", system.path(system.meta_file), f"the meta file should be named '{wanted}'")


def _check_layout(package: Package, systems: list[_System]) -> Iterator[Problem]:
    """The number of systems, the folder `task2`, the report, and files that belong to nothing."""
    most = load_common()["submission"]["max_systems"]
    if len(systems) > most:
        yield Problem("error", package.name, f"holds {len(systems)} systems; at most {most} are allowed")
    for label, count in Counter(system.label for system in systems).items():
        if count > 1:
            yield Problem("error", package.name, f"{count} folders have the label '{label}'")
    if package.is_zip and any(_last(_parent(system.folder)) != "task2" for system in systems):
        yield Problem("warning", package.name, "not all systems lie in a folder 'task2', as in task2/<label>/")
    bare = not package.is_zip and [system.folder for system in systems] == [package.name]
    if not bare:  # the report lies beside the folder of a system
        yield from _check_report(package, systems)
    used = {system.path(name) for system in systems for name in (*system.csvs, system.meta_file or "")}
    others = [name for name in package.names if name not in used and not name.lower().endswith(".pdf")]
    if others:
        yield Problem("warning", others[0], f"is not part of a submission{and_more(len(others), 'such file')}")


def _check_report(package: Package, systems: list[_System]) -> Iterator[Problem]:
    """One report for the team, or one for each system; both forms of its name were seen."""
    labels = [system.label for system in systems if is_label(system.label)]
    teams = [f"{parse_label(label)[0]}_task2" for label in labels] or ["<LastName>_<Inst>_task2"]
    wanted = [f"{stem}.technical_report.pdf" for stem in (*teams, *labels)]
    reports = [name for name in package.names if name.lower().endswith(".pdf")]
    if not reports:
        yield Problem("warning", package.name, f"the technical report task2/{wanted[0]} is missing")
    for name in reports:
        if _last(name) not in wanted:
            yield Problem("warning", name, f"the technical report should be named '{wanted[0]}'")


def _last(folder: str) -> str:
    return PurePosixPath(folder).name


def _parent(folder: str) -> str:
    return str(PurePosixPath(folder).parent)


# --- one system -----------------------------------------------------------------------------------------------------


def _check_system(
    package: Package, system: _System, edition: Edition, expected: Mapping[Unit, Collection[str]]
) -> Iterator[Problem]:
    if system.meta_file and system.meta:
        where = system.path(system.meta_file)
        yield from (Problem("error", where, text) for text in check_meta(system.meta[0], edition, system.label))
        yield from (Problem("warning", where, text) for text in meta_warnings(system.meta[0], edition))
    naming = check_names(system.csvs, edition, expected)
    yield from (Problem(level, system.path(name), text, kind) for level, name, text, kind in naming.problems)
    yield from _check_contents(package, system, edition, naming.files, expected)


def _check_contents(
    package: Package, system: _System, edition: Edition, files: Files, expected: Mapping[Unit, Collection[str]]
) -> Iterator[Problem]:
    clips: dict[Unit, dict[Kind, set[str]]] = defaultdict(dict)
    score_files = {unit: name for name, (kind, unit) in files.items() if kind == "score"}
    for name, (kind, unit) in files.items():
        where = system.path(name)
        try:
            table = read_table(package.read(where))
        except BrokenPackageError as error:
            yield Problem("error", where, str(error))
            continue
        wrong_clips = list(check_clips(table.names, unit, edition, expected.get(unit))) if table.names else []
        for defect, text in (*table.problems, *check_values(table.values, kind), *wrong_clips):
            yield Problem("error", where, text, defect)
        if table.names and not wrong_clips:
            clips[unit][kind] = set(table.names)
    for unit, by_kind in clips.items():
        if len(by_kind) == 2 and by_kind["score"] != by_kind["decision"]:
            text = _different(unit, by_kind["score"], by_kind["decision"])
            yield Problem("error", system.path(score_files[unit]), text, "different clips")


def _different(unit: Unit, score: set[str], decision: set[str]) -> str:
    kind, name = min([("score", name) for name in score - decision] + [("decision", name) for name in decision - score])
    more = and_more(len(score ^ decision), "such clip")
    return f"{unit}: score and decision file differ in their clips; '{name}' is in the {kind} file only{more}"
