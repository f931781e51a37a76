"""What the tests of packing and reading a store begin with."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import noise, write_fan


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Six clips of two lengths."""
    for i in range(6):
        write_fan(tmp_path / "raw", f"{i}.wav", noise(1000 + 600 * (i % 2), seed=i))
    return tmp_path / "raw"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "store" / "dev" / "fan"
