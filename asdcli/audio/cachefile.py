"""A file of many clips' features, and the note beside it that tells whether it is what was written.

Looking at it needs no torch: idle commands compare size, times and inode.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from asdcli.audio.arrayfile import ArrayFile
from asdcli.workspace.files import mark_of, read_json, write_atomic


def is_as_written(path: Path) -> bool:
    """By size, times and inode."""
    note = read_json(_note(path))
    return isinstance(note, dict) and note.get("mark") == mark_of(path)


def write_note(path: Path, crcs: Sequence[int]) -> None:
    """crcs: CRC-32 of the bytes of each clip, in the order of the clips."""
    write_atomic(_note(path), json.dumps({"mark": mark_of(path), "crcs": list(crcs)}).encode())


def damaged(path: Path, frames: ArrayFile, offsets: np.ndarray) -> bool:
    """Whether the bytes of a clip are not those that were written, or nobody can tell.

    frames: `[all frames, features]`; offsets: int64 `[clips + 1]` into it.
    """
    note = read_json(_note(path))
    crcs = note.get("crcs") if isinstance(note, dict) else None
    if crcs != [zlib.crc32(frames[start:end].data) for start, end in itertools.pairwise(offsets)]:
        return True
    if not is_as_written(path):  # copied here, whole
        write_note(path, crcs)
    return False


def _note(path: Path) -> Path:
    return path.with_suffix(".json")
