"""The day of a clip, from its attributes or its name; official names tell none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import fan_clips, noise, write_fan

from asdcli.audio.clips import ClipTable
from asdcli.audio.days import days_of


def clips(tmp_path: Path, *names: str) -> ClipTable:
    for name in names:
        write_fan(tmp_path, name, noise(10))
    return fan_clips(tmp_path)


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("rec_2026-11-03_0815.wav", "2026-11-03"),
        ("20261103T081500.wav", "2026-11-03"),
        ("2026.11.03.wav", "2026-11-03"),
        ("20261103081500.wav", None),
        ("normal_id_01_00000123.wav", None),
        ("section_00_source_train_normal_0000_spd_24.wav", None),
        ("20269903.wav", None),
    ],
)
def test_a_date_in_the_name(tmp_path: Path, name: str, day: str | None) -> None:
    found = days_of(clips(tmp_path, name))
    assert found is None if day is None else found.tolist() == [day]


def test_attributes_count_first_and_all_clips_have_to_tell(tmp_path: Path) -> None:
    table = clips(tmp_path, "2026-11-03_a.wav", "2026-11-04_b.wav")
    assert days_of(table).tolist() == ["2026-11-03", "2026-11-04"]
    known = np.array([{"day": "monday"}, {"day": "tuesday"}])
    assert days_of(replace(table, attributes=known)).tolist() == ["monday", "tuesday"]
    assert days_of(clips(tmp_path, "c.wav")) is None
