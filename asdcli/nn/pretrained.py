"""Networks that start from published weights."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class StartsPretrained(Protocol):
    """A network whose recipe may name published weights. Building it reads no file: weights are loaded at the start of
    its first training only, since what was trained holds them already.
    """

    def load_pretrained(self) -> None:
        """Put the weights that the recipe names in place; nothing where it names none. Raises WorkError with what to
        fetch and where to put it.
        """
        ...
