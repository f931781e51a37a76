"""`attributes_XX.csv`: the operating conditions of clips as parameter and value pairs."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from asdcli.challenge.csvfile import read_rows
from asdcli.challenge.editions.clipnames import SOUND
from asdcli.errors import UserError


def read_attributes(path: Path) -> dict[str, dict[str, str]]:
    """Attributes by clip stem (no folder, no `.wav`), `{parameter: value}` in the order of the file.

    Header `file_name,d1p,d1v[,d2p,d2v...]` with any number of pairs, zero included; further columns are ignored. The
    editions write the file name with folders, bare, or without `.wav`, hence the stem. Raises UserError naming file and
    line for anything else.
    """
    rows = read_rows(path)
    line, header = rows[0] if rows else (1, [])
    pairs = _pair_columns(path, line, header)
    found: dict[str, dict[str, str]] = {}
    for line, row in rows[1:]:
        stem = clip_stem(row[0])
        if not stem:
            raise UserError(f"{path}, line {line}: no file name in the first column.")
        if len(row) > len(header):
            raise UserError(f"{path}, line {line}: {len(row)} columns, but the header has {len(header)}.")
        values = _values(path, line, row, pairs)
        if found.setdefault(stem, values) != values:
            raise UserError(f"{path}, line {line}: {stem} stands twice, with different attributes.")
    return found


def clip_stem(name: str) -> str:
    """The last part of a path without `.wav`, or what else a sound file may end in."""
    last = PurePosixPath(name.strip().replace("\\", "/")).name
    return next((last[: -len(ending)] for ending in SOUND if last.lower().endswith(ending)), last)


def _pair_columns(path: Path, line: int, header: list[str]) -> list[tuple[int, int]]:
    """Column numbers of parameter and value for each pair that the header announces."""
    names = [name.strip() for name in header]
    if not names or names[0] != "file_name":
        raise UserError(f"{path}, line {line}: the header must begin with file_name.", "Form: file_name,d1p,d1v,...")
    columns = {name: index for index, name in enumerate(names)}
    pairs = []
    for name, column in columns.items():
        if match := re.fullmatch(r"d(\d+)p", name):
            value = columns.get(f"d{match[1]}v")
            if value is None:
                raise UserError(f"{path}, line {line}: the header has {name} but no d{match[1]}v.")
            pairs.append((column, value))
    return pairs


def _values(path: Path, line: int, row: list[str], pairs: list[tuple[int, int]]) -> dict[str, str]:
    """The pairs of one row; a row may end early or leave pairs empty, but not between a parameter and its value.

    In the ground truth of 2022 such a row ends with the column that is no pair: the file name with attributes.
    """
    values = {}
    for parameter, value in pairs:
        name = row[parameter].strip() if parameter < len(row) else ""
        if name.endswith(".wav"):
            break
        if name and value >= len(row):
            raise UserError(f"{path}, line {line}: the parameter {name} has no value.")
        if name:
            values[name] = row[value].strip()
    return values
