"""Checkpoints of a run: whatever a kill leaves behind is enough to go on exactly."""

from __future__ import annotations

import io
import time
import zlib
from pathlib import Path
from typing import Any

import torch

from asdcli.errors import WorkError
from asdcli.workspace.files import replacing

OVERHEAD = 0.02  # share of the time that saving may take
SHORTEST_S = 0.5
_MAGIC = b"asd checkpoint 1\n"  # followed by the CRC-32 of the rest
_HEAD = len(_MAGIC) + 4


class Checkpoint:
    """The resume file of one run. Saved as often as costs two percent of the time, always between two updates."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self.damaged = False  # whether `load` found one that is not as it was saved
        self._saved_at = time.monotonic()
        self._cost = 0.0

    def load(self) -> dict[str, Any] | None:
        """The saved state, on the CPU, or None when there is none for this fingerprint or it is not as it was saved."""
        try:
            content = self.path.read_bytes()
        except OSError:
            return None
        head, payload = content[:_HEAD], content[_HEAD:]
        if head != _MAGIC + zlib.crc32(payload).to_bytes(4, "little"):
            self.damaged = True
            return None
        loaded: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        return loaded if loaded["fingerprint"] == self.fingerprint else None

    def due(self) -> bool:
        return time.monotonic() - self._saved_at > max(SHORTEST_S, self._cost / OVERHEAD)

    def save(self, state: dict[str, Any]) -> None:
        began = time.monotonic()
        try:
            payload = io.BytesIO()
            torch.save({**state, "fingerprint": self.fingerprint}, payload)
            content = payload.getbuffer()
            with replacing(self.path) as temporary, temporary.open("wb") as file:
                file.write(_MAGIC + zlib.crc32(content).to_bytes(4, "little"))
                file.write(content)
        except OSError as error:
            raise WorkError(
                f"Cannot save the checkpoint {self.path}: {error}.", "Free some space; then the same command goes on."
            ) from error
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - began

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
