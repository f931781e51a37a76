"""Arrays in files: rows as they were written, read and never mapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from asdcli.audio.arrayfile import ArrayFile
from asdcli.errors import WorkError


@given(
    values=hnp.arrays(np.float32, st.tuples(st.integers(0, 9), st.integers(1, 4)), elements=st.floats(width=32)),
    begin=st.integers(-12, 12),
    end=st.integers(-12, 12),
)
def test_rows_are_those_of_the_array(
    values: np.ndarray, begin: int, end: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("rows") / "x.f32"
    path.write_bytes(values.tobytes())
    file = ArrayFile(path, np.float32, values.shape[1])
    assert (file.shape, file.dtype, len(file)) == (values.shape, values.dtype, len(values))
    np.testing.assert_array_equal(file[begin:end], values[begin:end])
    assert file[begin:end].flags.writeable


def test_it_stays_the_file_that_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"first")
    file = ArrayFile(path, np.uint8)
    (tmp_path / "y").write_bytes(b"other")
    (tmp_path / "y").replace(path)
    assert file[:].tobytes() == b"first"


def test_a_file_that_is_cut_while_it_is_open_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(10))
    file = ArrayFile(path, np.uint8)
    path.write_bytes(bytes(5))
    with pytest.raises(WorkError, match=r"x is shorter than it was a moment ago\."):
        file[2:8]


def test_no_whole_number_of_rows(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(10))
    with pytest.raises(ValueError, match="no whole number of rows"):
        ArrayFile(tmp_path / "x", np.float32, 1)
