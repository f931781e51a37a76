"""Score and decision files, the official CSVs: `name.wav,value`, no header, one file per unit."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from asdcli.challenge.csvfile import CsvError, numbered_rows, read_text, to_number, write_rows
from asdcli.challenge.editions.edition import Edition
from asdcli.errors import UserError, WorkError

log = logging.getLogger("asd")

VALUE_FILE = re.compile(r"(anomaly.?score|decision.?result).*\.csv", re.IGNORECASE)
"""What looks like the name of a score or decision file."""

_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?", re.ASCII)
_FIELDS = {"{section}": r"(?P<section>\d{2})", "{domain}": "(?P<domain>source|target)"} | {
    "{machine}": "(?P<machine>.+)",
    "{seed}": r"\d+",
    "{tag}": ".*",
}


Kind = Literal["score", "decision"]


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


def about(name: str, edition: Edition) -> tuple[Kind, Unit] | None:
    """What a file is by its name, in any of the forms that are read; None for another file."""
    for kind, templates in _forms(edition).items():
        if name.lower().endswith(".csv") and (unit := _unit(name, edition, templates)):
            return kind, unit
    return None


def _forms(edition: Edition) -> dict[Kind, tuple[str, ...]]:
    """All the forms of names that the edition's tools write or read; none of decisions where it has none."""
    official = filter(None, [edition.decision_file])
    scores = edition.score_file, *edition.score_variants
    return {"score": scores, "decision": (*official, *edition.decision_variants)}


def find_score_files(folder: Path, edition: Edition) -> dict[Unit, Path]:
    """Score files in a folder by unit, in all the forms of names that the edition's tools write or read."""
    return _find(folder, edition, _forms(edition)["score"])


def find_decision_files(folder: Path, edition: Edition) -> dict[Unit, Path]:
    """Decision files in a folder by unit; none where the edition has no decisions."""
    return _find(folder, edition, _forms(edition)["decision"])


def stray_files(folder: Path, edition: Edition) -> list[Path]:
    """Files that look like score or decision files but belong to no unit of the edition."""
    known = {*find_score_files(folder, edition).values(), *find_decision_files(folder, edition).values()}
    return [path for path in _files(folder) if VALUE_FILE.fullmatch(path.name) and path not in known]


def read_values(path: Path) -> tuple[list[str], np.ndarray]:
    """Clip names and values `[clips]` (float64) of a score or decision file.

    Read with a note are forms that have one reading: semicolons or tabs between the columns, decimal commas then or in
    quotes, a header, blanks and folders before names, names without .wav. Raises UserError naming the line of the first
    row that has not two columns, holds no finite number, or names a clip again. Blank lines at the end are no rows.
    """
    text = read_text(path).rstrip()
    if not text:
        raise UserError(f"{path} is empty.")
    delimiter = _delimiter(text)
    notes = dict.fromkeys(["columns are separated by semicolons or tabs"] if delimiter != "," else [])
    values: dict[str, float] = {}
    try:
        rows = list(numbered_rows(text, delimiter=delimiter))
    except CsvError as error:
        raise UserError(f"{path}, {error}.") from error
    if len(rows) > 1 and _is_header(rows[0][1]):
        notes["they have a header"] = None
        del rows[0]
    suffix = "" if any(row and row[0].strip().lower().endswith(".wav") for _, row in rows) else ".wav"
    if suffix:
        notes["clip names lack .wav"] = None
    for line, row in rows:
        if len(row) == 2:
            if "," in row[1] and _DECIMAL_COMMA.fullmatch(row[1].strip()):
                notes["numbers have decimal commas"] = None
                row[1] = row[1].replace(",", ".")
            if (name := _plain_name(row[0])) != row[0]:
                notes["blanks or folders stand before clip names"] = None
                row[0] = name
        if problem := _problem(line, row, values):
            raise UserError(f"{path}, line {line}: {problem}.", "Each line is name.wav,value with a finite number.")
        values[row[0]] = to_number(row[1])
    if notes:
        log.warning(f"{path.parent}: {', '.join(notes)}; the files are read all the same, but not by every evaluator.")
    return [name + suffix for name in values], np.array(list(values.values()))


def _delimiter(text: str) -> str:
    """A semicolon or a tab where each line has exactly one and no comma follows a clip's name, else the comma."""
    lines = text.splitlines()
    if re.search(r'\.wav"?\s*,', lines[0], re.IGNORECASE):
        return ","
    return next((mark for mark in ";\t" if all(line.count(mark) == 1 for line in lines)), ",")


def _is_header(row: list[str]) -> bool:
    """Two words of which neither is a clip or a number."""
    if len(row) != 2 or row[0].strip().lower().endswith(".wav"):
        return False
    return bool(row[0].strip() and re.fullmatch(r"\s*[A-Za-z][\w ()-]*", row[1])) and not _is_number(row[1])


def _is_number(text: str) -> bool:
    try:
        to_number(text)
    except ValueError:
        return False
    return True


def _plain_name(name: str) -> str:
    """The name of a clip without blanks and the path to it; what stands below `test/` stays, as in own data."""
    name = name.strip()
    if name[1:2] in (":", "\\") and re.match(r"[A-Za-z]:[\\/]|\\\\", name):
        name = name.replace("\\", "/")[2:]
    if not name.startswith("/"):
        return name
    return name.rpartition("/test/" if "/test/" in name else "/")[2]


def _problem(line: int, row: list[str], before: Mapping[str, float]) -> str:
    """What is wrong with a row, or an empty string. before: the values of the rows above."""
    if len(row) != 2:
        if len(row) == 3 and _DECIMAL_COMMA.fullmatch(",".join(row[1:]).strip()):
            return f"3 columns instead of 2: the comma of {','.join(row[1:])} may be a decimal one, write a point"
        return f"{len(row)} column{'s' * (len(row) > 1)} instead of 2" if row else "a blank line between the rows"
    name, text = row
    if not name:
        return "no clip name"
    try:
        value = to_number(text)
    except ValueError:
        return f"'{text}' is not a number"
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
        if (unit := _unit(path.name, edition, templates)) is None:
            continue
        if unit in found:
            both = f"{found[unit].name} and {path.name}"
            raise UserError(f"{folder} holds two files for {unit}: {both}.", "Keep one of them.")
        found[unit] = path
    return dict(sorted(found.items()))


def _unit(name: str, edition: Edition, templates: tuple[str, ...]) -> Unit | None:
    """What a file is about; .CSV is read as .csv, and `id_` as `section_` where the edition has sections."""
    plain = name[: -len(".csv")] + ".csv"
    for form in (plain, plain.replace("_id_", "_section_")):
        for template in templates:
            match = name_pattern(template).fullmatch(form)
            unit = Unit(**match.groupdict()) if match else None
            if unit is not None and _belongs(edition, unit):
                return unit
    return None


def _belongs(edition: Edition, unit: Unit) -> bool:
    return edition.own or any(unit.section in known.get(unit.machine, ()) for known in edition.sections.values())


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv" and path.is_file())
    except OSError as error:
        raise UserError(f"Cannot read the folder {folder}: {error.strerror}.") from error


@cache
def name_pattern(template: str) -> re.Pattern[str]:
    """The pattern of a file-name template: machine, section and domain as groups, `{seed}` and `{tag}` free."""
    parts = re.split(r"(\{\w+\})", template)
    return re.compile("".join(_FIELDS.get(part) or re.escape(part) for part in parts), re.ASCII)
