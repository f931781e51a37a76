"""Arrays end to end, in memory and in a file."""

from __future__ import annotations

import resource
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asdcli.audio.endtoend import in_file, in_memory
from asdcli.errors import WorkError


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    width=st.none() | st.integers(1, 4),
    dtype=st.sampled_from(["<i2", "<f4"]),
    given_as=st.sampled_from(["<i2", "<f4", "<f8"]),
)
def test_both_are_the_parts_one_after_the_other(
    lengths: list[int], width: int | None, dtype: str, given_as: str
) -> None:
    draw = np.random.default_rng(0)
    row = () if width is None else (width,)
    parts = [draw.integers(-300, 300, (2 * n, *row)).astype(given_as)[::2] for n in lengths]
    shape, whole = (sum(lengths), *row), np.concatenate(parts)
    with TemporaryDirectory() as name:
        folder = Path(name) / "store"
        for made in (in_memory(iter(parts), shape, dtype), in_file(iter(parts), shape, dtype, folder)):
            assert made.dtype == dtype
            np.testing.assert_array_equal(made, whole.astype(dtype))
        assert isinstance(made, np.memmap)
        assert not list(folder.iterdir()), "a file that has no name is gone with its process"


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(WorkError, match=rf"0\.1 GB of data do not fit into memory.*{tmp_path}.*: file too large"):
            in_file((np.zeros(500_000) for _ in range(20)), (10_000_000,), np.float64, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())
