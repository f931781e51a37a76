"""`attributes_XX_test_correspondence.csv`: two labelled names of each test clip, with its attributes and without.

Published after the challenge of 2024 for machine types whose attributes had been hidden; each file lies in a folder
that is named by its machine type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from asdcli.challenge.csvfile import read_rows
from asdcli.challenge.editions.clipnames import parse_labelled_name
from asdcli.challenge.editions.edition import Edition, set_of
from asdcli.errors import UserError

FILE = re.compile(r"attributes_(?P<section>\d{2})_(?P<split>train|test)_correspondence\.csv", re.ASCII)
_HEADER = ["source_file_name", "target_file_name"]
_DEPTH = 3  # folders below the one that is named: <part>/<machine>/ in ground_truth_attributes_all/

Row = tuple[str, str, int, str]
"""Name with attributes, name without, label, domain."""


def find_correspondences(folder: Path, edition: Edition) -> list[Path]:
    """Files about test clips of the edition's machine types, below a folder."""
    known = {machine for machines in edition.machines.values() for machine in machines}
    below = ["*/" * depth + "attributes_*_test_correspondence.csv" for depth in range(_DEPTH + 1)]
    found = sorted(path for pattern in below for path in folder.glob(pattern) if FILE.fullmatch(path.name))
    return [path for path in found if path.resolve().parent.name in known]


def read_correspondence(path: Path, edition: Edition) -> tuple[str, str, list[Row]]:
    """Machine, section and rows of one file. Raises UserError for one about training clips or of another edition."""
    match = FILE.fullmatch(path.name)
    if match is None or match["split"] == "train":
        raise UserError(f"{path} is about training clips, whose names tell nothing of test clips.")
    machine, section = path.resolve().parent.name, match["section"]
    set_of(edition, machine, section)
    return machine, section, list(_rows(path, edition, section))


def _rows(path: Path, edition: Edition, section: str) -> Iterator[Row]:
    for number, (line, row) in enumerate(read_rows(path)):
        if number == 0 and row == _HEADER:
            continue
        clips = [parse_labelled_name(edition, name) for name in row]
        known = [clip for clip in clips if clip is not None and clip.section == section]
        if len(row) != 2 or len(known) != 2:
            raise UserError(f"{path}, line {line}: {','.join(row)} are not two names of a test clip of {edition.name}.")
        first, second = known
        if (first.label, first.domain) != (second.label, second.domain):
            raise UserError(f"{path}, line {line}: the two names tell different labels or domains: {','.join(row)}.")
        yield row[0], row[1], first.label, first.domain
