"""The record API of the host: which files a record holds, their sizes and checksums, and its licence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asdcli.challenge.editions.edition import load_common
from asdcli.download.transport import Line, NotThereError
from asdcli.errors import WorkError, did_you_mean

HOST = "https://zenodo.org"


@dataclass(frozen=True)
class RemoteFile:
    """A file of a record; size and md5 are None and empty where the host did not tell."""

    url: str
    size: int | None = None
    md5: str = ""


@dataclass(frozen=True)
class Record:
    """files: by name; None when there was no listing (a mirror of plain files), so that any name may be asked for."""

    number: int
    files: Mapping[str, RemoteFile] | None = None
    licence: str = ""

    @property
    def page(self) -> str:
        return record_page(self.number)

    def file(self, name: str, known_md5: str = "") -> RemoteFile:
        """A file of the record. `known_md5`: the checksum known from elsewhere; the record must not contradict it."""
        if self.files is None:
            return RemoteFile(file_url(self.number, name), md5=known_md5)
        if name not in self.files:
            raise WorkError(f"Record {self.number} has no file {name}.{did_you_mean(name, self.files)}")
        found = self.files[name]
        if known_md5 and found.md5 and found.md5 != known_md5:
            raise WorkError(f"{name} has the md5 {found.md5} in record {self.number}, but {known_md5} is known for it.")
        return RemoteFile(found.url, found.size, found.md5 or known_md5)


def record_page(number: int) -> str:
    return str(load_common()["record_page"]).format(record=number)


def file_url(number: int, name: str) -> str:
    """The address under the record's page. The API's own link to the same file does not answer range requests."""
    return f"{record_page(number)}/files/{name}?download=1"


def read_record(number: int, line: Line) -> Record:
    """Ask the host for a record. On a mirror, no answer to that means a tree of plain files."""
    try:
        answer = line.fetch_json(f"{HOST}/api/records/{number}")
    except NotThereError:
        if line.mirror:
            return Record(number)
        raise
    try:
        return Record(number, dict(_file(number, entry) for entry in _entries(answer)), _licence(answer))
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        raise WorkError(f"The answer of {line.at(HOST)} about record {number} is not of the known form.") from None


def _entries(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The list of files: plain, or (the host's newer form) below `entries`, as a list or by name."""
    files = answer["files"]
    files = files["entries"] if isinstance(files, dict) else files
    return list(files.values() if isinstance(files, dict) else files)


def _file(number: int, entry: Mapping[str, Any]) -> tuple[str, RemoteFile]:
    name, (algorithm, _, digest) = entry["key"], entry["checksum"].rpartition(":")
    size = entry["size"]
    if not isinstance(name, str) or not name or isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise TypeError
    md5 = digest.lower() if algorithm in ("", "md5") else ""
    return name, RemoteFile(file_url(number, name), size, md5)


def _licence(answer: Mapping[str, Any]) -> str:
    """The licence as the record names it; empty when it does not."""
    about = answer.get("metadata") or {}
    named = about.get("license") or next(iter(about.get("rights") or ()), "")
    return str(named.get("id") or "") if isinstance(named, dict) else str(named)
