"""Which file of a submitted system is what: rightly named, misnamed, not of this edition, missing."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import VALUE_FILE, Unit, decision_name, name_pattern, score_name, units
from asdcli.challenge.submission.filecheck import Kind, and_more

# The README of the 2022 evaluator writes its file names without `_test` (its code wants it); real packages follow it.
_TEST_MAY_BE_MISSING = ("dcase2022",)

Files = dict[str, tuple[Kind, Unit]]  # by file name


@dataclass
class Naming:
    """What the CSV files of a system are (`files`), and what is wrong: (level, file name or ``, text) each."""

    files: Files = field(default_factory=dict)
    problems: list[tuple[Literal["error", "warning"], str, str]] = field(default_factory=list)


def official_files(edition: Edition, of: Iterable[Unit]) -> Files:
    """The official names of the score and decision files of some units."""
    files: Files = {}
    for unit in of:
        files[score_name(edition, unit)] = ("score", unit)
        if edition.decision_file:
            files[decision_name(edition, unit)] = ("decision", unit)
    return files


def count_files(edition: Edition, names: Collection[str]) -> tuple[int, bool]:
    """How many of the edition's evaluation files are among the names, and whether that is all of them."""
    official = official_files(edition, units(edition, "eval"))
    found = sum(any(form in names for form in _accepted(edition, name)) for name in official)
    return found, found == len(official) > 0


def check_names(names: Collection[str], edition: Edition, expected: Iterable[Unit]) -> Naming:
    """Match the CSV names of one system with the files due: all evaluation units of the edition.

    Own data has no list of machine types: the names themselves and the `expected` units say which there are. A misnamed
    file stands for the missing one that it most likely meant, so that it is told once and its content is checked.
    """
    due = units(edition, "eval") if not edition.own else sorted({*_units_in(edition, names), *expected})
    official = official_files(edition, due)
    naming = Naming({name: official[name] for name in names if name in official})
    missing = [name for name in official if name not in naming.files]
    shortened = []
    for name in sorted(set(names) - set(official)):
        meant = next((m for m in missing if name in _accepted(edition, m)), None)
        if meant:
            shortened.append(name)
        elif meant := _nearest(name, [m for m in missing if _may_mean(name, official[m][1], edition)]):
            naming.problems.append(("error", name, f"the file should be named '{meant}'"))
        else:
            naming.problems.append(_stray(name, edition))
        if meant:
            naming.files[name] = official[meant]
            missing.remove(meant)
    if shortened:
        more = and_more(len(shortened), "such file")
        text = f"the name lacks '_test', without which the official evaluator does not find it{more}"
        naming.problems.append(("warning", shortened[0], text))
    naming.problems += [("error", "", text) for text in _missing(official, missing)]
    return naming


def _accepted(edition: Edition, official: str) -> tuple[str, ...]:
    lenient = edition.name in _TEST_MAY_BE_MISSING
    return (official, official.replace("_test.csv", ".csv")) if lenient else (official,)


def _units_in(edition: Edition, names: Iterable[str]) -> list[Unit]:
    """The units that names of the official form are about, whether the edition has them or not."""
    templates = filter(None, [edition.score_file, edition.decision_file])
    patterns = [name_pattern(template) for template in templates]
    matches = [pattern.fullmatch(name) for name in names for pattern in patterns]
    return [Unit(**match.groupdict()) for match in matches if match]


def _may_mean(name: str, unit: Unit, edition: Edition) -> bool:
    """Whether a misnamed file may be about a unit. All official names are much alike, so the machine type decides."""
    if formed := _units_in(edition, [name]):
        return difflib.SequenceMatcher(None, formed[0].machine, unit.machine).ratio() >= 0.75
    return unit.machine.lower() in name.lower()


def _nearest(name: str, candidates: list[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, candidates, n=1, cutoff=0.85)), None)


def _stray(name: str, edition: Edition) -> tuple[Literal["error", "warning"], str, str]:
    if name in official_files(edition, units(edition, "dev")):
        return "error", name, "is about the development set; a submission holds the evaluation set"
    if edition.decision_file is None and name.startswith("decision_result"):
        return "warning", name, f"{edition.name} has no decision files"
    if edition.own:
        return "error", name, f"the name has not the form {edition.score_file}"
    if VALUE_FILE.fullmatch(name):
        machines = ", ".join(edition.machines["eval"])
        return "error", name, f"is no file of {edition.name}, whose machine types are {machines}"
    return "warning", name, "is not part of a submission"


def _missing(official: Files, missing: Collection[str]) -> Iterator[str]:
    """Missing files, told as one where a kind of file or a machine type is missing altogether."""
    by_kind: dict[Kind, list[str]] = defaultdict(list)
    by_machine: dict[str, list[str]] = defaultdict(list)
    for name, (kind, _) in official.items():
        by_kind[kind].append(name)
    gone = {kind for kind, names in by_kind.items() if set(names) <= set(missing)}
    yield from (f"all {len(by_kind[kind])} {kind} files are missing" for kind in sorted(gone))
    for name, (kind, unit) in official.items():
        if kind not in gone:
            by_machine[unit.machine].append(name)
    for machine, names in by_machine.items():
        absent = [name for name in names if name in missing]
        if len(absent) == len(names) > 1:
            yield f"machine type '{machine}' is missing altogether ({len(names)} files)"
        else:
            yield from (f"the file '{name}' is missing" for name in absent)
