"""The log of a run: cut where a checkpoint was, read as far as it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from asdcli.training.runlog import RunLog


def test_a_log_is_cut_to_a_size_it_had(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "deep" / "log.jsonl")
    assert log.size() == 0
    log.cut(0)
    log.write({"epoch": 0})
    size = log.size()
    log.write({"epoch": 1})
    log.cut(size)
    assert log.path.read_text() == '{"epoch": 0}\n'
    log.write({"epoch": 1, "loss": 0.5})
    assert log.path.read_text() == '{"epoch": 0}\n{"epoch": 1, "loss": 0.5}\n'


def test_a_log_that_lost_lines_is_not_filled_with_zeros(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl")
    log.cut(100)
    log.write({"epoch": 5})
    assert log.path.read_text() == '{"epoch": 5}\n'


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"5",
        b"{",
        b"\xff",
        b"[" * 9999,
        b'{"phase": 5}',
        b'{"phase": "a", "loss": "x"}',
        b'{"phase": "a", "alarms": 5}',
    ],
)
def test_what_is_damaged_is_counted_and_the_rest_read(tmp_path: Path, line: bytes) -> None:
    log = RunLog(tmp_path / "log.jsonl")
    assert log.records() == ([], 0)
    log.write({"phase": "a", "loss": 0.5, "alarms": ["too large"]})
    with log.path.open("ab") as file:
        file.write(line + b"\n")
    log.write({"phase": "a", "loss": 0.25})
    with log.path.open("ab") as file:
        file.write(b'{"phase": "a", "lo')  # being written
    records, damaged = log.records()
    assert [record["loss"] for record in records] == [0.5, 0.25]
    assert damaged == 1
    assert log.alarms() == ["too large"]
