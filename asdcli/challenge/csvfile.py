"""CSV files as text and rows with line numbers: attributes, ground truth, scores, and whatever a package holds."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from asdcli.errors import UserError
from asdcli.workspace.files import replacing

Row = tuple[int, list[str]]
"""Number of a row's (last) line, and its cells: none for a blank line."""


class CsvError(ValueError):
    """A row that no CSV file can have, and its line."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: not a valid CSV row: {problem}")


def numbered_rows(text: str, *, strict: bool = True, delimiter: str = ",") -> Iterator[Row]:
    """The rows of a text. Raises CsvError; `strict` minds what follows a closing quote."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=strict, delimiter=delimiter)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise CsvError(reader.line_num, str(error)) from error


def read_text(path: Path) -> str:
    """A text file in UTF-8, without the byte-order mark of some editors. Raises UserError naming the file."""
    if path.exists() and not path.is_file():  # a FIFO would wait for ever
        raise UserError(f"Cannot read {path}: it is no regular file.")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file in UTF-8: byte {error.start} cannot be read.") from error
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from error


def read_rows(path: Path) -> list[Row]:
    """The rows of a file that are not blank. Raises UserError naming file and line."""
    try:
        return [(line, row) for line, row in numbered_rows(read_text(path)) if any(cell.strip() for cell in row)]
    except CsvError as error:
        raise UserError(f"{path}, {error}.") from error


def to_number(text: str) -> float:
    """A number as every reader of CSV files takes it. Raises ValueError for others, such as Python's own `1_000`."""
    if "_" in text or not text.isascii():
        raise ValueError(f"{text} is not a number")
    return float(text)


def write_rows(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write rows as CSV, in one step."""
    with replacing(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
