"""Arrays of clips in a file: a clip table, and by name what is known of each of its clips."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from asdcli.audio.clips import ClipTable
from asdcli.workspace.files import write_atomic


def save_arrays(path: Path, clips: ClipTable | None, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays, and the table if there is one, in one step."""
    table = {} if clips is None else {"clips": np.frombuffer(json.dumps(clips.columns()).encode(), np.uint8)}
    buffer = io.BytesIO()
    np.savez(buffer, **table, **arrays)  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())


def load_arrays(path: Path) -> tuple[ClipTable, dict[str, np.ndarray]]:
    """The table and the arrays by name, as `save_arrays` wrote them."""
    with np.load(path, allow_pickle=False) as arrays:
        named = {name: arrays[name] for name in arrays.files}
    return ClipTable.from_columns(json.loads(named.pop("clips").tobytes())), named
