"""Machine k of n and the time that the others will take, by a clock of the test."""

from __future__ import annotations

import pytest

from asdcli.cli.console import Settings, Terminal
from asdcli.cli.timeleft import in_words


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_titles_tell_the_machine_and_the_time_of_those_to_come() -> None:
    clock = Clock()
    terminal = Terminal(Settings(), clock)
    terminal.machines = ("fan", "pump", "valve")
    titles = []
    for machine, seconds in (("fan", 100), ("pump", 300), ("valve", 10)):
        for part in ("train", "embed"):
            with terminal._left.work(f"{part} ae {machine}", drawn=True) as title:
                titles.append(title)
                clock.now += seconds if part == "train" else 1
    assert titles[::2] == [
        "train ae fan (machine 1 of 3)",
        "train ae pump (machine 2 of 3, then about 2 min)",
        "train ae valve (machine 3 of 3)",
    ]
    assert titles[3] == "embed ae pump (machine 2 of 3, then about 1 s)"


def test_without_a_terminal_long_work_is_told_when_it_is_done(capfd: pytest.CaptureFixture[str]) -> None:
    """The mean of 300 s and 100 s, once for the one machine that is left."""
    clock = Clock()
    terminal = Terminal(Settings(), clock)
    terminal.machines = ("fan", "pump", "valve")
    for machine, seconds in (("fan", 300), ("pump", 100), ("valve", 5)):
        with terminal.progress(f"train ae {machine}", total=3):
            clock.now += seconds
    with terminal.progress("Searching weights", total=3):
        clock.now += 1000
    assert capfd.readouterr().err.splitlines() == [
        "train ae fan (machine 1 of 3): done in 5 min, then about 10 min",
        "train ae pump (machine 2 of 3): done in 2 min, then about 3 min",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5000, "83 min"), (9000, "2.5 h")]
)
def test_lengths_of_time(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
