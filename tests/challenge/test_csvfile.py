"""CSV files: what is written is read again, and what cannot be read is told with its line."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asdcli.challenge.csvfile import CsvError, numbered_rows, read_rows, read_text, write_rows
from asdcli.errors import UserError

# What spreadsheets and clip names hold, quotes, commas and line ends among it; no surrogates, which UTF-8 has not.
CELL = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), max_size=8)
ROWS = st.lists(st.lists(CELL, min_size=1, max_size=4), max_size=6)


@given(ROWS)
def test_what_is_written_is_read_again_but_for_blank_rows(rows: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write_rows(path, rows)
        kept = [row for row in rows if any(cell.strip() for cell in row)]
        assert [row for _, row in read_rows(path)] == kept


@given(st.lists(st.sampled_from(["a,1", "", "b,2,3", " , "]), max_size=8))
def test_every_row_knows_its_line(lines: list[str]) -> None:
    numbered = list(numbered_rows("\n".join(lines)))
    assert all(row == (lines[line - 1].split(",") if lines[line - 1] else []) for line, row in numbered)
    assert [line for line, _ in numbered] == sorted({line for line, _ in numbered})


@pytest.mark.parametrize(
    ("text", "strict", "lenient"), [('a,1\nb,"2"3\n', 2, [["a", "1"], ["b", "23"]]), ('"never closed', 1, None)]
)
def test_only_strict_reading_minds_what_follows_a_quote(text: str, strict: int, lenient: list | None) -> None:
    with pytest.raises(CsvError, match=f"^line {strict}: not a valid CSV row: "):
        list(numbered_rows(text))
    if lenient is not None:
        assert [row for _, row in numbered_rows(text, strict=False)] == lenient


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_a_byte_order_mark_do_not_matter(end: str, mark: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(mark + end.join(["ä,1", "", "b,2", ""]).encode())
    assert read_rows(tmp_path / "x.csv") == [(1, ["ä", "1"]), (3, ["b", "2"])]


def test_what_is_no_text_is_told_with_the_byte(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"name,\xff\xfe")
    with pytest.raises(UserError, match=r"x\.csv: not a text file in UTF-8: byte 5 cannot be read"):
        read_text(tmp_path / "x.csv")
    with pytest.raises(UserError, match=r"Cannot read .*nowhere\.csv: No such file"):
        read_text(tmp_path / "nowhere.csv")


def test_a_row_that_cannot_be_is_told_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('a,1\n"b,2\n')
    with pytest.raises(UserError, match=r"x\.csv, line 2: not a valid CSV row"):
        read_rows(tmp_path / "x.csv")
