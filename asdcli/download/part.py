"""A file on its way: what has come so far lies beside its place, checked while it grows, never spliced."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from asdcli.workspace.checksums import Digests
from asdcli.workspace.files import flush, rename

LARGEST_UNLISTED = 4 << 30


class TryAgainError(Exception):
    """Worth another try. `wait`: seconds that the host asks for."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Wanted:
    """A file: where from, where to, and what is known of it. checksums: hex digests by algorithm (md5, sha256)."""

    url: str
    target: Path
    size: int | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)


class Part:
    """`<name>.part` holds what has come, `<name>.part.json` which version of the file it is of."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.size = wanted.size
        self.path = wanted.target.with_name(f"{wanted.target.name}.part")
        self.note = wanted.target.with_name(f"{wanted.target.name}.part.json")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.validator, self.length = self._found()
        self.furthest = self.length
        self._file: IO[bytes] | None = None
        self._digests = Digests(wanted.checksums)
        if self.length:
            self._digests.read(self.path)

    def _found(self) -> tuple[str, int]:
        """Validator and length of what an earlier run left, if it belongs to the same file."""
        try:
            note = json.loads(self.note.read_bytes())
            if note["of"] == self._identity():
                return str(note["validator"]), self.path.stat().st_size
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return "", 0

    def _identity(self) -> list[Any]:
        return [self.wanted.size, dict(self.wanted.checksums)]

    def is_whole(self) -> bool:
        return self.size is not None and self.length == self.size and self.path.exists()

    def request_headers(self) -> dict[str, str]:
        """Ask for the rest, on condition that the file is still the one begun with (RFC 9110, If-Range)."""
        if not self.length or not self.validator:
            return {}
        return {"Range": f"bytes={self.length}-", "If-Range": self.validator}

    def begin(self, status: int, headers: Mapping[str, str], first: bytes) -> None:
        """Get ready for the body of an answer: go on, or start over where the host does not continue our version.

        Nothing that came before is given up for an answer that cannot be the file. `first`: the first block of it.
        """
        if "html" in headers.get("Content-Type", "").lower() or (status == 200 and first.lstrip()[:1] == b"<"):
            raise TryAgainError("a web page came instead of the file")  # no file that we fetch is HTML or XML
        validator, length = _validator(headers), _number(headers.get("Content-Length"))
        if status == 200:
            if length is not None and self.wanted.size is not None and length != self.wanted.size:
                raise TryAgainError(f"the host offers {length} bytes instead of {self.wanted.size}")
            self.restart(validator)
            self.size = length if self.size is None else self.size
        elif not self._continues(status, headers, validator):
            self.restart()
            raise TryAgainError("the file has changed on the host")
        self._file = self.path.open("ab", buffering=0)

    def _continues(self, status: int, headers: Mapping[str, str], validator: str) -> bool:
        """Whether a partial answer (206) goes on exactly where we are, in the same version of the file."""
        unit, _, span = headers.get("Content-Range", "").partition(" ")
        start, total = _number(span.partition("-")[0]), _number(span.rpartition("/")[2])
        if status != 206 or unit != "bytes" or start != self.length or validator not in ("", self.validator):
            return False
        self.size = total if self.size is None else self.size
        return total in (None, self.size)

    def write(self, block: bytes) -> None:
        most = LARGEST_UNLISTED if self.size is None else self.size
        if self.length + len(block) > most:
            self.restart()
            raise TryAgainError(f"more than {most} bytes came")
        assert self._file is not None
        rest = memoryview(block)
        while rest:
            rest = rest[self._file.write(rest) :]
        self.length += len(block)
        self.furthest = max(self.furthest, self.length)
        self._digests.update(block)

    def restart(self, validator: str = "") -> None:
        """Forget what has come. The note is written while there is no part, so it never speaks of another one."""
        self.close()
        self.path.unlink(missing_ok=True)
        self.validator, self.length, self.size = validator, 0, self.wanted.size
        self._digests = Digests(self.wanted.checksums)
        self.note.write_text(json.dumps({"of": self._identity(), "validator": validator}))

    def finish(self) -> str:
        """Put the file in its place when its checksums are right; otherwise forget it and say what was wrong."""
        self.close()
        fault = self._digests.mismatch(self.wanted.checksums)
        if fault:
            self.restart()
            self.furthest = 0
            return fault
        flush(self.path)
        rename(self.path, self.wanted.target)
        self.note.unlink(missing_ok=True)
        return ""

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _validator(headers: Mapping[str, str]) -> str:
    """What names this version of the file: a strong ETag, or else the date of its last change."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
