"""What a result was made from, and whether it still is what would be made today."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import asdcli
from asdcli.workspace.files import crc_of, mark_of, read_json, write_atomic


def digest(value: Any) -> str:
    """A short hash of anything JSON can hold, independent of the order of keys.

    What a result is made from is told by such a hash. It knows no version of asd: a stage that makes other results than
    before has a number among the parts, which is raised by hand.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def sealed(note: dict[str, Any]) -> dict[str, Any]:
    """A note with a hash of itself, for a file that may be damaged before it is read again."""
    return {**note, _SEAL: digest(note)}


def unsealed(note: Any) -> dict[str, Any] | None:
    """The note that was sealed; None for one that has changed since. Notes of older versions have no seal."""
    if not isinstance(note, dict):
        return None
    rest = {key: value for key, value in note.items() if key != _SEAL}
    return rest if note.get(_SEAL, digest(rest)) == digest(rest) else None


_SEAL = "check"


class Made:
    """`made.json` of a folder: for each part of it, what the part was made from. Written last, so its word is good."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "made.json"

    def read(self) -> dict[str, Any]:
        """Part by part; what is damaged is as if it had never been made."""
        loaded = read_json(self.path)
        found = {part: unsealed(entry) for part, entry in loaded.items()} if isinstance(loaded, dict) else {}
        return {part: entry for part, entry in found.items() if entry is not None and _is_entry(entry)}

    def fingerprint(self, part: str = "all") -> str | None:
        entry = self.read().get(part)
        return str(entry["fingerprint"]) if entry else None

    def is_fresh(self, fingerprint: str, part: str = "all") -> bool:
        """Whether the part was made from exactly this, and every file it names is still there as it was written.

        Size, times and inode tell that without reading; only a file that was copied here is read.
        """
        entry = self.read().get(part)
        if entry is None or entry["fingerprint"] != fingerprint:
            return False
        return all((self.folder / name).is_file() for name in entry["files"]) and not self._changed(entry, read=False)

    def damaged(self, fingerprint: str, part: str = "all") -> str:
        """The first file that was made from this and is gone or not what was written, its bytes read; else empty.

        To be asked before a result is read for work, and before it is made again, to say why. Of what was made from
        something else nothing is said, unless the note itself is damaged, so that nobody can tell.
        """
        entry = self.read().get(part)
        if entry is None:
            loaded = read_json(self.path)
            untold = part in loaded if isinstance(loaded, dict) else self.path.is_file()
            return self.path.name if untold else ""
        if entry["fingerprint"] != fingerprint:
            return ""
        return self._changed(entry, read=True)

    def _changed(self, entry: dict[str, Any], read: bool) -> str:
        """The first changed file of those that were noted; read: whether to read what looks as it was written, and to
        count what is gone.
        """
        gone = [name for name in entry["files"] if not (self.folder / name).is_file()]
        if read and gone:
            return str(gone[0])
        for name, (mark, crc) in entry.get("written", {}).items():
            path = self.folder / name
            if path.is_file() and (read or mark_of(path) != mark) and crc_of(path) != crc:
                return name
        return ""

    def write(
        self, fingerprint: str, files: list[str], part: str = "all", checked: list[str] | None = None, **about: Any
    ) -> None:
        """Note what a part was made from, and its files. checked: those whose bytes count, all of them if left out."""
        paths = {name: self.folder / name for name in (files if checked is None else checked)}
        written = {name: [mark_of(path), crc_of(path)] for name, path in paths.items() if path.is_file()}
        entry = {"fingerprint": fingerprint, "files": files, "written": written, "asd": asdcli.__version__, **about}
        self._save({**self.read(), part: entry})

    def forget(self, part: str) -> None:
        """As if a part had never been made."""
        self._save({name: entry for name, entry in self.read().items() if name != part})

    def _save(self, parts: dict[str, dict[str, Any]]) -> None:
        document = {name: sealed(entry) for name, entry in parts.items()}
        write_atomic(self.path, json.dumps(document, indent=1).encode())


def _is_entry(entry: Any) -> bool:
    """Whether it has the form that `write` gives it; older ones noted no bytes."""
    if not isinstance(entry, dict) or not isinstance(entry.get("fingerprint"), str):
        return False
    files, written = entry.get("files"), entry.get("written", {})
    if not isinstance(files, list) or not all(isinstance(name, str) and "\0" not in name for name in files):
        return False
    return isinstance(written, dict) and all(isinstance(note, list) and len(note) == 2 for note in written.values())
