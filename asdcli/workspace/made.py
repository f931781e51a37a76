"""What a result was made from, and whether it still is what would be made today."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import asdcli
from asdcli.workspace.files import write_atomic


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
        try:
            loaded = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return loaded if isinstance(loaded, dict) else {}

    def fingerprint(self, part: str = "all") -> str | None:
        entry = self.read().get(part)
        return entry.get("fingerprint") if isinstance(entry, dict) else None

    def is_fresh(self, fingerprint: str, part: str = "all") -> bool:
        """Whether the part was made from exactly this, and every file it names is still there."""
        entry = self.read().get(part)
        if not isinstance(entry, dict) or entry.get("fingerprint") != fingerprint:
            return False
        return all((self.folder / name).is_file() for name in entry.get("files", ()))

    def write(self, fingerprint: str, files: list[str], part: str = "all", **about: Any) -> None:
        entry = {"fingerprint": fingerprint, "files": files, "asd": asdcli.__version__, **about}
        write_atomic(self.path, json.dumps({**self.read(), part: entry}, indent=1).encode())
