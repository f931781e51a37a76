"""The two ways a command can fail, and the one way it stops on purpose."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class AsdError(Exception):
    """A failure that is told to the user as one sentence, never as a traceback.

    `hint` says what to do next, as one more sentence or a command to run.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UserError(AsdError):
    """Wrong use or bad input: what, where, and what to do. Exit code 2."""

    exit_code = 2


class WorkError(AsdError):
    """The input was right but the work failed (loss not finite, disk full). Exit code 1."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` when `word` is close to a known one, else an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def unknown(kind: str, word: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not in a list: names the list and the nearest entry."""
    names = list(known)
    return UserError(f"Unknown {kind} '{word}'.{did_you_mean(word, names)} Known: {', '.join(names)}.")


def few(words: Sequence[str], most: int = 3, between: str = ", ") -> str:
    """The first of a list in words, and how many more there are."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return between.join(words[:most]) + more


def shown(text: object) -> str:
    """A path or a name as it may be printed: what a terminal would obey, or cannot show, is written out."""
    return "".join(c if c.isprintable() or c == "\u3000" else ascii(c)[1:-1] for c in str(text))


def reason(error: OSError) -> str:
    """The system's own words for what went wrong, without number and path."""
    return (error.strerror or str(error)).lower()
