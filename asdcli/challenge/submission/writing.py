"""Writing a submission package: up to four systems of score and decision files, meta files and the report in a zip."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import Unit, decision_name, score_name
from asdcli.challenge.submission.checker import check_package, edition_within
from asdcli.challenge.submission.meta import dump_meta
from asdcli.challenge.submission.team import parse_label
from asdcli.errors import UserError
from asdcli.workspace.files import replacing

_OWN = b"asd: own data set "  # and its name: the comment in a package of one
_EPOCH = (1980, 1, 1, 0, 0, 0)  # one time for all files, so that equal systems give equal zips


@dataclass(frozen=True)
class SubmittedSystem:
    """One system of a package. The files may have any names; the package gives them the edition's official ones."""

    label: str
    score_files: Mapping[Unit, Path]
    decision_files: Mapping[Unit, Path]
    meta: Mapping[str, Any]


def write_package(
    edition: Edition,
    systems: Sequence[SubmittedSystem],
    out_dir: Path,
    report_pdf: Path | None = None,
    expected: Mapping[Unit, Collection[str]] | None = None,
) -> Path:
    """Write `<LastName>_<Inst>.zip` into `out_dir` and return its path.

    The zip is checked before it gets its name: `expected` holds the names of the evaluation clips where they are known.
    Raises UserError with a line for each defect, and leaves no file behind then. Warnings pass; `check_package` on the
    result tells them. A package of another edition or own data set is not written over, which is a UserError too.
    """
    team = _team(systems)
    files: dict[str, bytes] = {}
    for system in systems:
        files |= _system_files(edition, system)
    if report_pdf is not None:
        files[f"task2/{team}_task2.technical_report.pdf"] = _read(report_pdf)
    path = out_dir / f"{team}.zip"
    before = (_own_data_of(path) or edition_within(path)) if path.is_file() else None
    if before not in (None, edition.name):
        raise UserError(
            f"{path} is a package of {before}, and one of {edition.name} would take its place.",
            "Move it away, or choose another --label.",
        )
    with replacing(path) as draft:
        _write_zip(draft, files, _OWN + edition.name.encode() if edition.own else b"")
        errors = check_package(draft, edition, expected).errors
        if errors:
            lines = [f"{e.where.replace(draft.name, path.name)}: {e.told}" for e in errors]
            kept = f"{path} is still the package of before." if path.is_file() else ""
            raise UserError("The package would not be valid, so it was not written:\n  " + "\n  ".join(lines), kept)
    return path


def _own_data_of(path: Path) -> str:
    """The own data set that a package says it is of: machines of own data tell no edition, or a wrong one."""
    try:
        with zipfile.ZipFile(path) as archive:
            comment = archive.comment
    except (zipfile.BadZipFile, OSError, ValueError):
        return ""
    return comment.removeprefix(_OWN).decode(errors="replace") if comment.startswith(_OWN) else ""


def _team(systems: Sequence[SubmittedSystem]) -> str:
    """`<LastName>_<Inst>`, the same in the labels of all systems. Raises UserError for labels that do not fit."""
    labels = [system.label for system in systems]
    teams = {parse_label(label)[0] for label in labels}
    if len(teams) != 1 or len(set(labels)) != len(labels):
        raise UserError(
            f"The labels {', '.join(labels) or '(none)'} do not make one package.",
            "All systems have the same last name and institute, and an index of their own from 1 to 4.",
        )
    return teams.pop()


def _system_files(edition: Edition, system: SubmittedSystem) -> dict[str, bytes]:
    """Contents by path in the zip."""
    folder = f"task2/{system.label}"
    files = {f"{folder}/{system.label}.meta.yaml": dump_meta(system.meta).encode()}
    files |= {f"{folder}/{score_name(edition, unit)}": _read(path) for unit, path in system.score_files.items()}
    if edition.decision_file:
        decisions = system.decision_files.items()
        files |= {f"{folder}/{decision_name(edition, unit)}": _read(path) for unit, path in decisions}
    return files


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from error


def _write_zip(path: Path, files: Mapping[str, bytes], comment: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = comment
        for name in sorted(files):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            info.create_system = 3  # Unix on any machine
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, files[name])
