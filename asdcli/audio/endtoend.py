"""Arrays end to end: in memory, or in a file where that is too little."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asdcli.errors import WorkError, reason


def in_memory(parts: Iterable[np.ndarray], shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray:
    """The parts, each `[n, ...]`, one after the other: `shape`, as `dtype`."""
    whole, begin = np.empty(shape, dtype), 0
    for part in parts:
        whole[begin : begin + len(part)] = part
        begin += len(part)
    return whole


def in_file(parts: Iterable[np.ndarray], shape: tuple[int, ...], dtype: npt.DTypeLike, folder: Path) -> np.ndarray:
    """The same as a `np.memmap`, of which memory holds what has been looked at as long as nobody else needs it.

    Its file has no name, so that whatever becomes of the process nothing is left behind. It is written, not mapped to
    be filled: a full disk is then an error to report and not a SIGBUS. Raises WorkError for such a disk.

    Args:
        parts: each `[n, ...]`.
        shape: of the whole.
        dtype: of the whole.
        folder: on the disk that is to hold it; it is made where it is missing.
    """
    dtype = np.dtype(dtype)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            for part in parts:
                file.write(np.ascontiguousarray(part, dtype).data)
            file.flush()
            return np.memmap(file, dtype, "c", shape=shape)
    except OSError as error:
        size = math.prod(shape) * dtype.itemsize / 1e9
        raise WorkError(
            f"{size:.1f} GB of data do not fit into memory and cannot be written to {folder}: {reason(error)}.",
            "Make room there, or take fewer machines at once with --machine.",
        ) from error
