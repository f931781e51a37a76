"""Checkpoints and logs of a run: whatever a kill leaves behind is enough to go on exactly."""

from __future__ import annotations

import json
import time
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from asdcli.errors import WorkError
from asdcli.workspace.files import replacing

OVERHEAD = 0.02  # share of the time that saving may take
SHORTEST_S = 0.5


class Checkpoint:
    """The resume file of one run. Saved as often as costs two percent of the time, always between two updates."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self._saved_at = time.monotonic()
        self._cost = 0.0

    def load(self) -> dict[str, Any] | None:
        """The saved state, on the CPU, or None when there is none for this fingerprint or it cannot be read."""
        try:
            loaded = torch.load(self.path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, UnpicklingError):
            return None
        same = isinstance(loaded, dict) and loaded.get("fingerprint") == self.fingerprint
        return loaded if same else None

    def due(self) -> bool:
        return time.monotonic() - self._saved_at > max(SHORTEST_S, self._cost / OVERHEAD)

    def save(self, state: dict[str, Any]) -> None:
        began = time.monotonic()
        try:
            with replacing(self.path) as temporary:
                torch.save({**state, "fingerprint": self.fingerprint}, temporary)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
            raise WorkError(
                f"Cannot save the checkpoint {self.path}: {error}.", "Free some space; then the same command goes on."
            ) from error
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - began

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


class RunLog:
    """One JSON object per epoch. A resumed run first cuts what came after its checkpoint, so no epoch stands twice."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, record: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def cut(self, size: int) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.truncate(min(size, file.tell()))
