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


class Made:
    """`made.json` of a folder: for each part of it, what the part was made from. Written last, so its word is good."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "made.json"

    def read(self) -> dict[str, Any]:
        """Part by part; what is damaged is as if it had never been made."""
        loaded = read_json(self.path)
        known = loaded if isinstance(loaded, dict) else {}
        return {part: entry for part, entry in known.items() if _is_entry(entry)}

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
        """The first file that was made from this and is not what was written, its bytes read; empty where none is.

        To be asked before a result is read for work, and before it is made again, to say why.
        """
        entry = self.read().get(part)
        if entry is None or entry["fingerprint"] != fingerprint:
            return ""
        return self._changed(entry, read=True)

    def _changed(self, entry: dict[str, Any], read: bool) -> str:
        """The first changed file of those that were noted; read: whether to read what looks as it was written."""
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
        write_atomic(self.path, json.dumps({**self.read(), part: entry}, indent=1).encode())

    def forget(self, part: str) -> None:
        """As if a part had never been made."""
        rest = {name: entry for name, entry in self.read().items() if name != part}
        write_atomic(self.path, json.dumps(rest, indent=1).encode())


def _is_entry(entry: Any) -> bool:
    """Whether it has the form that `write` gives it; older ones noted no bytes."""
    if not isinstance(entry, dict) or not isinstance(entry.get("fingerprint"), str):
        return False
    files, written = entry.get("files"), entry.get("written", {})
    if not isinstance(files, list) or not all(isinstance(name, str) and "\0" not in name for name in files):
        return False
    return isinstance(written, dict) and all(isinstance(note, list) and len(note) == 2 for note in written.values())
