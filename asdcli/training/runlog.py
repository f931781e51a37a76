"""The log of a run: its epochs, for figures and for what was said of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LOG = "log.jsonl"


class RunLog:
    """One JSON object per epoch. A resumed run first cuts what came after its checkpoint, so no epoch stands twice."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, record: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def alarms(self) -> list[str]:
        """What was said of the run, epoch by epoch."""
        return [sentence for record in self.records()[0] for sentence in record.get("alarms", [])]

    def records(self) -> tuple[list[dict[str, Any]], int]:
        """The epochs in order, with `phase`, `loss` and whatever else was logged, and the number of lines that are
        damaged. A last line without an end is one that is being written, or was when its process was killed.
        """
        try:
            lines = self.path.read_bytes().split(b"\n")[:-1]
        except OSError:
            return [], 0
        found = [record for line in lines if (record := _record(line)) is not None]
        return found, len(lines) - len(found)

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def cut(self, size: int) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.truncate(min(size, file.tell()))


def _record(line: bytes) -> dict[str, Any] | None:
    """What `write` wrote; None for anything else."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("phase"), str):
        return None
    alarms = record.get("alarms", [])
    if not isinstance(alarms, list) or not all(isinstance(sentence, str) for sentence in alarms):
        return None
    figures = [value for name, value in record.items() if name not in ("phase", "alarms")]
    return record if all(isinstance(value, int | float) for value in figures) else None
