"""How commands speak: messages and bars on stderr, tables or one JSON document on stdout."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asdcli.cli.streams import lose_messages
from asdcli.cli.timeleft import TimeLeft
from asdcli.ui import Progress, Ui
from asdcli.workspace.places import Workspace, open_root

if TYPE_CHECKING:
    from rich.console import Console as RichConsole


@dataclass
class Settings:
    """The global options."""

    root: Path = Path("asd_work")
    json: bool = False
    quiet: bool = False
    verbose: bool = False


class Terminal(Ui):
    """Draws what a stage says on stderr, and no sentence twice in one command. clock: in seconds."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._said: set[str] = set()
        self._left = TimeLeft(self, clock)

    def say(self, text: str) -> None:
        if not self.settings.quiet:
            self._print(text)

    def detail(self, text: str) -> None:
        if self.settings.verbose:
            self._print(text)

    def warn(self, text: str) -> None:
        if not self.settings.quiet:
            self._print(f"Note: {text}")

    def _print(self, text: str) -> None:
        if text in self._said:
            return
        self._said.add(text)
        try:
            _stderr().print(text, markup=False, highlight=False, soft_wrap=True)
        except OSError:  # a full disk, a terminal that is gone
            lose_messages()

    @contextmanager
    def progress(self, title: str, total: float, unit: str = "clips") -> Iterator[Progress]:
        """A bar with the count, the figures and the time left; where nobody looks, a line when long work is done."""
        if self.settings.quiet:
            yield Progress()
            return
        drawn = sys.stderr.isatty()
        with self._left.work(title, drawn) as title:
            if not drawn:
                yield Progress()
                return
            with self._bar(title, total, unit) as bar:
                yield bar

    @contextmanager
    def _bar(self, title: str, total: float, unit: str) -> Iterator[Progress]:
        from rich import progress as rich_progress

        columns = (
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(bar_width=24 if _stderr().width > 110 else 10),
            rich_progress.MofNCompleteColumn(),
            rich_progress.TextColumn("{task.fields[unit]} {task.fields[figures]}"),
            rich_progress.TimeRemainingColumn(),
        )
        with rich_progress.Progress(*columns, console=_stderr(), transient=True) as bars:
            bar = bars.add_task(title, total=total, unit=unit, figures="")

            class Bar(Progress):
                def show(self, done: float, figures: str = "") -> None:
                    bars.update(bar, completed=done)
                    if figures:
                        bars.update(bar, figures=figures)

            yield Bar()

    @contextmanager
    def transfers(self, title: str, size: float | None) -> Iterator[Callable[[str, float | None], Progress]]:
        """Bars with bytes, speed and time left: one for everything, one for each file on its way."""
        if self.settings.quiet or not sys.stderr.isatty():
            yield lambda name, size: Progress()
            return
        from rich import progress as rich_progress

        columns = (
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(bar_width=24),
            rich_progress.DownloadColumn(),
            rich_progress.TransferSpeedColumn(),
            rich_progress.TimeRemainingColumn(),
            rich_progress.TextColumn("{task.fields[why]}"),
        )
        with rich_progress.Progress(*columns, console=_stderr(), transient=True) as bars:
            everything = bars.add_task(title, total=size, why="")

            class Bar(Progress):
                def __init__(self, name: str, size: float | None) -> None:
                    self.task = bars.add_task(f"  {name}", total=size, why="")
                    self.done = 0.0

                def show(self, done: float, figures: str = "") -> None:
                    bars.update(everything, advance=done - self.done)
                    bars.update(self.task, completed=done, why=figures)
                    self.done = done

                def close(self) -> None:
                    bars.remove_task(self.task)

            yield Bar


class Output:
    """stdout: tables for people, or one JSON document with --json."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ui = Terminal(settings)

    @property
    def workspace(self) -> Workspace:
        return open_root(self.settings.root)

    def json(self, document: Any) -> bool:
        """Print the document and return True when --json asks for it."""
        if self.settings.json:
            sys.stdout.write(json.dumps(document, indent=1, allow_nan=False) + "\n")
        return self.settings.json

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], rules: Sequence[int] = ()
    ) -> None:
        """A table; columns after the first are right-aligned when their cells look like numbers.

        Words are never cut: where the terminal is too narrow for them, each row is a block of lines. rules: numbers of
        rows after which a line is drawn.
        """
        from rich.table import Table
        from rich.text import Text

        cells = [[name, *(row[n] for row in rows)] for n, name in enumerate(columns)]
        widths = _widths(cells, _stdout().width - 3 * len(cells) - 1)
        if widths is None:
            self._blocks(title, columns, rows)
            return
        table = Table(title=title or None, title_justify="left", title_style="bold", header_style="bold")
        for index, (name, *own) in enumerate(cells):
            justify: Any = "right" if index and all(map(_looks_numeric, own)) else "left"
            table.add_column(name, justify=justify, width=widths[index], overflow="fold")
        for number, row in enumerate(rows):
            table.add_row(*(Text(cell) for cell in row), end_section=number in rules)
        _stdout().print(table)

    def _blocks(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """The rows below each other: what a cell holds stands after the name of its column."""
        if title:
            self.text(title)
        for first, *rest in rows:
            self.text(first)
            named = [f"{name}: {cell}" for name, cell in zip(columns[1:], rest, strict=True) if cell]
            short = all(len(each) < 30 for each in named)
            for line in [", ".join(named)] if short and named else named:
                self.text(f"  {line}")

    def text(self, line: str) -> None:
        """A sentence of the result."""
        _stdout().print(line, markup=False, highlight=False, soft_wrap=True)


def attach_log(ui: Ui) -> None:
    """Let the package's log speak through the terminal: warnings always, the rest with --verbose."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            (ui.warn if record.levelno >= logging.WARNING else ui.detail)(record.getMessage())

    logger = logging.getLogger("asd")
    logger.handlers = [Handler()]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def default_root() -> Path:
    return Path(os.environ.get("ASD_ROOT") or "asd_work")


def _looks_numeric(cell: str) -> bool:
    return not cell or cell[0].isdigit() or cell in ("-", "n/a") or (cell[0] in "+-" and len(cell) > 1)


def _widths(columns: Sequence[Sequence[str]], most: int) -> list[int] | None:
    """The width of each column: that of its longest cell, or less where all of them are wider than `most`, but not less
    than its longest word; None where even that is too wide.
    """
    from rich.cells import cell_len

    least = [max((cell_len(word) for cell in cells for word in cell.split()), default=1) for cells in columns]
    wished = [max(map(cell_len, cells)) for cells in columns]
    spare, missing = most - sum(least), sum(wished) - sum(least)
    if spare < 0:
        return None
    share = min(1.0, spare / missing) if missing else 1.0
    return [low + int(share * (high - low)) for low, high in zip(least, wished, strict=True)]


def _stderr() -> RichConsole:
    from rich.console import Console

    return Console(stderr=True)


def _stdout() -> RichConsole:
    from rich.console import Console

    width = None if sys.stdout.isatty() else 200
    return Console(width=width)
