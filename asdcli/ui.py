"""What a stage may say while it works. The command line draws it; the base class is silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


class Progress:
    """One bar: how much is done, and a short text of figures beside it."""

    def show(self, done: float, figures: str = "") -> None: ...

    def close(self) -> None:
        """The bar goes away before the others do."""


class Ui:
    """Silent: for library use and tests.

    machines: those that a command works on, in order. A bar whose title names one tells how many there are.
    """

    machines: Sequence[str] = ()

    def say(self, text: str) -> None:
        """What a user wants to know: the device, a choice made, a stage done."""

    def detail(self, text: str) -> None:
        """Only with --verbose."""

    def warn(self, text: str) -> None:
        """Something is not as it should be, but the work goes on."""

    @contextmanager
    def progress(self, title: str, total: float, unit: str = "clips") -> Iterator[Progress]:
        yield Progress()

    @contextmanager
    def transfers(self, title: str, size: float | None) -> Iterator[Callable[[str, float | None], Progress]]:
        """Bytes on their way: a bar for all of them, and one for each file that is begun with the given function."""
        yield lambda name, size: Progress()
