"""An array in a file, of which rows are read when they are asked for.

It is read and not mapped: what a process has once looked at in a mapped file counts as its memory.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asdcli.errors import WorkError


class ArrayFile:
    """`file[begin:end]` are rows of the array, in memory. The file stays open: another one in its place is not read.

    Args:
        path: of a file that holds the rows and nothing else.
        dtype: of the values.
        width: values of a row, `[rows, width]`; None for `[rows]`.

    Raises ValueError for a file that holds no whole number of rows.
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike, width: int | None = None) -> None:
        self._path, self.dtype = path, np.dtype(dtype)
        row = () if width is None else (width,)
        self._row_bytes = self.dtype.itemsize * (1 if width is None else width)
        self._file = path.open("rb", buffering=0)
        rows, rest = divmod(os.fstat(self._file.fileno()).st_size, self._row_bytes)
        if rest:
            raise ValueError(f"{path} holds no whole number of rows")
        self.shape = (rows, *row)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Raises WorkError where the file has been cut since it was opened."""
        begin, end, _ = rows.indices(len(self))
        found = np.empty((max(0, end - begin), *self.shape[1:]), self.dtype)
        left, at = found.reshape(-1).view(np.uint8).data, begin * self._row_bytes
        while len(left):
            read = os.preadv(self._file.fileno(), [left], at)
            if not read:
                raise WorkError(f"{self._path} is shorter than it was a moment ago.", "Run the same command again.")
            left, at = left[read:], at + read
        return found

    def __del__(self) -> None:
        if file := self.__dict__.get("_file"):  # none where opening it has failed
            file.close()
