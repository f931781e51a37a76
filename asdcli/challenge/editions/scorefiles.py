"""Score and decision files, the official CSVs: `name.wav,value`, no header, one file per unit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from asdcli.challenge.csvfile import CsvError, numbered_rows, read_text, write_rows
from asdcli.challenge.editions.edition import Edition
from asdcli.errors import UserError, WorkError

_FIELDS = {"{section}": r"(?P<section>\d{2})", "{domain}": "(?P<domain>source|target)"} | {
    "{machine}": "(?P<machine>.+)",
    "{seed}": r"\d+",
    "{tag}": ".*",
}


@dataclass(frozen=True, order=True)
class Unit:
    """What one score file is about. domain: only where an edition has a file per domain (2021)."""

    machine: str
    section: str
    domain: str = ""

    def __str__(self) -> str:
        return f"{self.machine} section {self.section}" + (f" {self.domain}" if self.domain else "")


def units(edition: Edition, set_name: str) -> list[Unit]:
    """All units of a set, machine by machine; none for own data, whose machines are not known in advance."""
    domains = ("source", "target") if edition.metrics == "per_domain" else ("",)
    sections = [(machine, key) for machine, keys in edition.sections[set_name].items() for key in keys]
    return [Unit(machine, section, domain) for machine, section in sections for domain in domains]


def score_name(edition: Edition, unit: Unit) -> str:
    """The official name of the score file of a unit."""
    return edition.score_file.format(machine=unit.machine, section=unit.section, domain=unit.domain)


def decision_name(edition: Edition, unit: Unit) -> str:
    """The official name of the decision file of a unit. Raises UserError where the edition has no decisions (2020)."""
    if edition.decision_file is None:
        raise UserError(f"{edition.name} has no decision files.")
    return edition.decision_file.format(machine=unit.machine, section=unit.section, domain=unit.domain)


def find_score_files(folder: Path, edition: Edition) -> dict[Unit, Path]:
    """Score files in a folder by unit, in all the forms of names that the edition's tools write or read."""
    return _find(folder, edition, (edition.score_file, *edition.score_variants))


def find_decision_files(folder: Path, edition: Edition) -> dict[Unit, Path]:
    """Decision files in a folder by unit; none where the edition has no decisions."""
    return _find(folder, edition, (*filter(None, [edition.decision_file]), *edition.decision_variants))


def stray_files(folder: Path, edition: Edition) -> list[Path]:
    """Files that look like score or decision files but belong to no unit of the edition."""
    known = {*find_score_files(folder, edition).values(), *find_decision_files(folder, edition).values()}
    looks = re.compile(r"(anomaly_score|decision_result).*\.csv", re.IGNORECASE)
    return [path for path in _files(folder) if looks.fullmatch(path.name) and path not in known]


def read_values(path: Path) -> tuple[list[str], np.ndarray]:
    """Clip names and values `[clips]` (float64) of a score or decision file.

    Raises UserError naming the line of the first row that is a header, has not two columns, holds no finite number, or
    names a clip again. Blank lines at the end are no rows.
    """
    text = read_text(path).rstrip()
    if not text:
        raise UserError(f"{path} is empty.")
    values: dict[str, float] = {}
    try:
        for line, row in numbered_rows(text):
            if problem := _problem(line, row, values):
                raise UserError(f"{path}, line {line}: {problem}.", "Each line is name.wav,value with a finite number.")
            values[row[0]] = float(row[1])
    except CsvError as error:
        raise UserError(f"{path}, {error}.") from error
    return list(values), np.array(list(values.values()))


def _problem(line: int, row: list[str], before: Mapping[str, float]) -> str:
    """What is wrong with a row, or an empty string. before: the values of the rows above."""
    if len(row) != 2:
        return f"{len(row)} column{'s' * (len(row) > 1)} instead of 2" if row else "a blank line between the rows"
    name, text = row
    if not name:
        return "no clip name"
    try:
        value = float(text)
    except ValueError:
        header = line == 1 and not name.lower().endswith(".wav")
        return f"'{name},{text}' is a header, which score files do not have" if header else f"'{text}' is not a number"
    if not math.isfinite(value):
        return f"the value of {name} is {text}"
    if name in before:
        return f"{name} stands twice, first in line {list(before).index(name) + 1}"
    return ""


def write_values(path: Path, names: Sequence[str], values: Iterable[float]) -> None:
    """Write a score file (floats in full precision) or a decision file (integers), whole or not at all.

    Raises WorkError when a value is not finite: no evaluator accepts such a file.
    """
    rows = list(zip(names, np.asarray(values).tolist(), strict=True))
    for name, value in rows:
        if not math.isfinite(value):
            raise WorkError(f"The value of {name} for {path.name} is {value}.")
    write_rows(path, rows)


def _find(folder: Path, edition: Edition, templates: tuple[str, ...]) -> dict[Unit, Path]:
    found: dict[Unit, Path] = {}
    for path in _files(folder):
        for template in templates:
            match = name_pattern(template).fullmatch(path.name)
            unit = Unit(**match.groupdict()) if match else None
            if unit is None or not _belongs(edition, unit):
                continue
            if unit in found:
                both = f"{found[unit].name} and {path.name}"
                raise UserError(f"{folder} holds two files for {unit}: {both}.", "Keep one of them.")
            found[unit] = path
            break
    return dict(sorted(found.items()))


def _belongs(edition: Edition, unit: Unit) -> bool:
    return edition.own or any(unit.section in known.get(unit.machine, ()) for known in edition.sections.values())


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".csv" and path.is_file())
    except OSError as error:
        raise UserError(f"Cannot read the folder {folder}: {error.strerror}.") from error


@cache
def name_pattern(template: str) -> re.Pattern[str]:
    """The pattern of a file-name template: machine, section and domain as groups, `{seed}` and `{tag}` free."""
    parts = re.split(r"(\{\w+\})", template)
    return re.compile("".join(_FIELDS.get(part) or re.escape(part) for part in parts), re.ASCII)
