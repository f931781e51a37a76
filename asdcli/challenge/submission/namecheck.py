"""Which file of a submitted system is what: rightly named, misnamed, not of this edition, missing."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import (
    VALUE_FILE,
    Kind,
    Unit,
    about,
    decision_name,
    name_pattern,
    score_name,
    units,
)
from asdcli.challenge.submission.package import and_more

# The README of the 2022 evaluator writes its file names without `_test` (its code wants it); real packages follow it.
_TEST_MAY_BE_MISSING = ("dcase2022",)

Files = dict[str, tuple[Kind, Unit]]  # by file name


Misnamed = tuple[Literal["error", "warning"], str, str, str]
"""Level, file name or ``, text, and the kind of defect or ``."""


@dataclass
class Naming:
    """What the CSV files of a system are (`files`), and what is wrong."""

    files: Files = field(default_factory=dict)
    problems: list[Misnamed] = field(default_factory=list)


def official_files(edition: Edition, of: Iterable[Unit]) -> Files:
    """The official names of the score and decision files of some units."""
    files: Files = {}
    for unit in of:
        files[score_name(edition, unit)] = ("score", unit)
        if edition.decision_file:
            files[decision_name(edition, unit)] = ("decision", unit)
    return files


def count_files(edition: Edition, names: Collection[str]) -> tuple[int, int, bool]:
    """How many of the edition's evaluation files are among the names: in any form that is read, and by their official
    names; and whether the former are all of them.
    """
    official = official_files(edition, units(edition, "eval"))
    found = {about(name, edition) for name in names} & {*official.values()}
    return len(found), len(official.keys() & {*names}), len(found) == len(official) > 0


def check_names(names: Collection[str], edition: Edition, expected: Iterable[Unit]) -> Naming:
    """Match the CSV names of one system with the files due: all evaluation units of the edition.

    Own data has no list of machine types: the names themselves and the `expected` units say which there are. A misnamed
    file stands for the missing one that it most likely meant, so that it is told once and its content is checked.
    """
    due = units(edition, "eval") if not edition.own else sorted({*_units_in(edition, names), *expected})
    official = official_files(edition, due)
    naming = Naming({name: official[name] for name in names if name in official})
    missing = [name for name in official if name not in naming.files]
    for name in sorted(set(names) - set(official)):
        meant = next((m for m in missing if official[m] == about(name, edition)), None)
        if meant and name == meant.replace("_test.csv", ".csv") and edition.name in _TEST_MAY_BE_MISSING:
            text = "the name lacks '_test', without which the official evaluator does not find it"
            naming.problems.append(("warning", name, text, ""))
        elif meant:
            naming.problems.append(("error", name, f"the file should be named '{meant}'", "form of the name"))
        elif meant := _nearest(name, [m for m in missing if _may_mean(name, official[m][1], edition)]):
            naming.problems.append(("error", name, f"the file should be named '{meant}'", ""))
        else:
            naming.problems.append(_stray(name, edition, official))
        if meant:
            naming.files[name] = official[meant]
            missing.remove(meant)
    naming.problems += [("error", "", text, "") for text in _missing(official, missing)]
    return naming


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


def _stray(name: str, edition: Edition, official: Files) -> Misnamed:
    if (meant := about(name, edition)) in official.values():
        first = next(name for name, of in official.items() if of == meant)
        return "error", name, f"is a second file of what '{first}' is about", "second file"
    if name in official_files(edition, units(edition, "dev")):
        return "error", name, "is about the development set; a submission holds the evaluation set", ""
    if edition.decision_file is None and name.startswith("decision_result"):
        return "warning", name, f"{edition.name} has no decision files", ""
    if edition.own:
        return "error", name, f"the name has not the form {edition.score_file}", ""
    if VALUE_FILE.fullmatch(name):
        machines = ", ".join(edition.machines["eval"])
        return "error", name, f"is no file of {edition.name}, whose machine types are {machines}", ""
    return "warning", name, "is not part of a submission", ""


def _missing(official: Files, missing: Collection[str]) -> Iterator[str]:
    """Missing files, told as one where kinds of files or machine types are missing altogether."""
    by_kind: dict[Kind, list[str]] = defaultdict(list)
    by_machine: dict[str, list[str]] = defaultdict(list)
    for name, (kind, _) in official.items():
        by_kind[kind].append(name)
    gone = {kind for kind, names in by_kind.items() if set(names) <= set(missing)}
    yield from (f"all {len(by_kind[kind])} {kind} files are missing" for kind in sorted(gone))
    for name, (kind, unit) in official.items():
        if kind not in gone:
            by_machine[unit.machine].append(name)
    whole = {machine: names for machine, names in by_machine.items() if len(names) > 1 and set(names) <= set(missing)}
    if whole:
        told = ", ".join(f"'{machine}'" for machine in whole)
        verb = f"machine type {told} is" if len(whole) == 1 else f"machine types {told} are"
        yield f"{verb} missing altogether ({sum(map(len, whole.values()))} files)"
    absent = [name for machine in by_machine if machine not in whole for name in by_machine[machine] if name in missing]
    if absent:
        yield f"the file '{absent[0]}' is missing{and_more(len(absent), 'such file')}"
