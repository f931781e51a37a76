"""The clip table: one row per clip, built by scanning a tree with the name patterns of its edition."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from asdcli.challenge.editions.attributes import clip_stem, read_attributes
from asdcli.challenge.editions.clipnames import SOUND, SPLITS, parse_clip_name
from asdcli.challenge.editions.edition import Edition
from asdcli.errors import UserError, few, reason, shown, unknown

_SYSTEM_FILES = ("thumbs.db", "desktop.ini")
_HIDDEN = "noAttribute"
NAME_TAIL = "name"  # the attribute that the tail of a clip's name is, in editions without tables (2021): not split
_TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # of the direction of writing
_NAMED = 3


@dataclass(frozen=True, eq=False)
class ClipTable:
    """Columns of equal length [clips]; text columns are arrays of str."""

    path: np.ndarray  # relative to raw/, with forward slashes
    machine: np.ndarray
    section: np.ndarray
    domain: np.ndarray  # source, target, or "" where it is unknown
    split: np.ndarray  # train, test, supplemental, excluded
    label: np.ndarray  # int8: 0 normal, 1 anomaly, -1 unknown
    attributes: np.ndarray  # of dict[str, str]: {} where none are known; see NAME_TAIL

    def __len__(self) -> int:
        return len(self.path)

    def select(self, which: np.ndarray | Sequence[int] | slice) -> ClipTable:
        """The rows given by a mask, an index array or a slice."""
        return ClipTable(*(column[which] for column in self._arrays()))

    def columns(self) -> dict[str, list[Any]]:
        """Plain lists by column name, ready for JSON; equal tables give equal columns."""
        return {field.name: getattr(self, field.name).tolist() for field in fields(self)}

    @classmethod
    def from_columns(cls, columns: dict[str, list[Any]]) -> ClipTable:
        """The inverse of `columns`."""
        types: dict[str, type] = {"label": np.int8, "attributes": object}
        return cls(**{f.name: np.array(columns[f.name], dtype=types.get(f.name, str)) for f in fields(cls)})

    def _arrays(self) -> list[np.ndarray]:
        return [getattr(self, field.name) for field in fields(self)]


def concat(tables: Iterable[ClipTable]) -> ClipTable:
    """The rows of all tables (at least one), one after the other."""
    return ClipTable(*map(np.concatenate, zip(*(table._arrays() for table in tables), strict=True)))


def places(rows: np.ndarray, sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Which table each row of `concat` comes from, and its row there: `[rows]` counted over tables of these sizes."""
    ends = np.cumsum(sizes)
    tables = np.searchsorted(ends, rows, side="right")
    return zip(tables.tolist(), (rows - (ends - sizes)[tables]).tolist(), strict=True)


def scan_clips(
    raw: Path, edition: Edition, set_name: str, machines: Iterable[str] | None = None
) -> tuple[ClipTable, list[Path]]:
    """The clips below raw/<machine>/{train,test,...}/, sorted by path, and whatever there matches no pattern.

    `machines` narrows it to some of the machine folders. Of a folder with an unknown name only the folder is reported.
    Labels and domains come from the names; the truth of evaluation sets is joined elsewhere. Only regular files and
    links are clips: what else there is (FIFOs, devices, folders that lead back to themselves) is never opened.
    Raises UserError for a missing tree, a machine that is not there, a tree without a single clip, names that cannot be
    written, and clips whose folder tells another label than their name.
    """
    if not raw.is_dir():
        raise UserError(f"There is no folder {raw}.{_nearest(raw)}", f"asd download {edition.name} puts data there.")
    folders, files = _listing(raw)
    known = folders if edition.own else edition.machines.get(set_name, ())
    present = [folder for folder in folders if folder in known]
    chosen = present if machines is None else _chosen(raw, set(machines), present, known)
    strays: list[Path] = []
    if machines is None:
        strays += [raw / name for name in folders if name not in known]
        strays += [raw / name for name in files if name.lower().endswith(SOUND)]
    conflicts: list[str] = []
    rows = [row for machine in chosen for row in _machine_rows(raw, machine, edition, set_name, strays, conflicts)]
    _refuse(raw, conflicts, "two labels", "Move or rename them: a clip has one label.")
    _refuse(
        raw,
        [shown(row[0]) for row in rows if not _can_be_written(row[0])],
        "a name that cannot be written",
        "Rename them: bytes that are no UTF-8, line breaks and other control characters are not possible.",
    )
    if not rows:
        there = ", ".join(str(path.relative_to(raw)) for path in strays[:3]) or "nothing"
        raise UserError(
            f"No clip in {raw} has a folder and name as {edition.name} ({set_name}) has them; there is {there}.",
            "The tree is <machine>/train/*.wav and <machine>/test/*.wav.",
        )
    names = [field.name for field in fields(ClipTable)]
    columns = [list(column) for column in zip(*rows, strict=True)]
    return ClipTable.from_columns(dict(zip(names, columns, strict=True))), strays


def _refuse(raw: Path, clips: Sequence[str], what: str, hint: str) -> None:
    """Raise one UserError for all of these clips, if there are any."""
    if clips:
        count = f"{len(clips)} clip{'s' * (len(clips) > 1)} with {what}"
        raise UserError(f"{count} in {shown(raw)}: {few(clips, _NAMED, '; ')}.", hint)


def _can_be_written(name: str) -> bool:
    """Not so where a name holds bytes that are no UTF-8, control characters, line ends, or turns of direction."""
    if name.isascii():
        return name.isprintable()
    return all(unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp") and c not in _TURNS for c in name)


def _machine_rows(
    raw: Path, machine: str, edition: Edition, set_name: str, strays: list[Path], conflicts: list[str]
) -> Iterator[tuple[Any, ...]]:
    """One tuple in the order of the columns per clip; what is not a clip is added to `strays`, and a clip with two
    labels, in words, to `conflicts`.
    """
    folders, files = _listing(raw / machine, strays)
    tables = [name for name in files if name.startswith("attributes_") and name.endswith(".csv")]
    strays += [raw / machine / name for name in files if name not in tables]
    strays += [raw / machine / name for name in folders if name.lower() not in SPLITS]
    attributes = _attributes(raw / machine / name for name in tables)
    for folder in (name for name in folders if name.lower() in SPLITS):
        for place, names in _places(raw / machine, folder, edition.own, strays):
            for name in names:
                path = f"{machine}/{place}/{name}"
                clip = parse_clip_name(edition, set_name, place, name)
                if clip is None:
                    strays.append(raw / path)
                    continue
                if clip.conflict:
                    conflicts.append(f"{shown(path)} ({clip.conflict})")
                known = attributes.get(clip_stem(name), {})
                if clip.attributes and not edition.attributes:
                    known = {NAME_TAIL: clip.attributes}
                yield path, machine, clip.section, clip.domain, clip.split, clip.label, known


def _attributes(tables: Iterable[Path]) -> dict[str, dict[str, str]]:
    """Known attributes by clip stem from all sections of a machine; hidden ones are left out."""
    found = {stem: known for table in tables for stem, known in read_attributes(table).items()}
    return {
        stem: {key: value for key, value in known.items() if _HIDDEN not in (key, value)}
        for stem, known in found.items()
    }


def _places(machine: Path, folder: str, deep: bool, strays: list[Path]) -> Iterator[tuple[str, list[str]]]:
    """The folder of a split, relative to the machine, with its file names; where `deep`, all folders below it too, but
    not those that lead back to one above.
    """
    inner, names = _listing(machine / folder, strays)
    yield folder, names
    above = [machine / folder, *(machine / folder).parents[: folder.count("/")]]
    for sub in inner:
        path = machine / folder / sub
        if deep and not any(path.samefile(one) for one in above):
            yield from _places(machine, f"{folder}/{sub}", deep, strays)
        else:
            strays.append(path)


def _chosen(raw: Path, wanted: set[str], present: list[str], known: Sequence[str]) -> list[str]:
    for machine in sorted(wanted - set(present)):
        if machine not in known:
            raise unknown("machine", machine, known)
        raise UserError(f"There is no folder {raw / machine}; there are {', '.join(present) or 'no machines'}.")
    return [machine for machine in present if machine in wanted]


def _nearest(missing: Path) -> str:
    """What lies in the nearest folder above a missing one."""
    above = next(parent for parent in missing.absolute().parents if parent.is_dir())
    folders, files = _listing(above)
    return f" {above} holds {', '.join((folders + files)[:8]) or 'nothing'}."


def _listing(folder: Path, special: list[Path] | None = None) -> tuple[list[str], list[str]]:
    """Sorted names of the folders and of the files, without what operating systems leave behind.

    What is neither (a FIFO, a device) is added to `special`: opening it may wait for ever.
    """
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.lower() in _SYSTEM_FILES:
                    continue
                link = entry.is_symlink()
                if os.path.isdir(entry.path) if link else entry.is_dir():  # a link to itself is neither
                    folders.append(entry.name)
                elif link or entry.is_file():
                    files.append(entry.name)
                elif special is not None:
                    special.append(folder / entry.name)
    except OSError as error:
        raise UserError(f"{shown(folder)} cannot be read: {reason(error)}.") from None
    return sorted(folders), sorted(files)
