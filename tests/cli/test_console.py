"""What commands say on stderr."""

from __future__ import annotations

import pytest
from rich.console import Console

from asdcli.cli import console
from asdcli.cli.console import Output, Settings, Terminal


def test_no_sentence_is_said_twice(capfd: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(Settings())
    for _ in range(2):
        terminal.say("Device: CPU")
        terminal.warn("half of it is missing")
    assert capfd.readouterr().err == "Device: CPU\nNote: half of it is missing\n"


def test_quiet_is_no_messages_at_all(capfd: pytest.CaptureFixture[str]) -> None:
    output = Output(Settings(quiet=True))
    output.ui.say("Device: CPU")
    output.ui.warn("half of it is missing")
    with output.ui.progress("train ae fan", 3) as bar:
        bar.show(1)
    output.text("the result")
    assert capfd.readouterr() == ("the result\n", "")


LONG = "mobilefacenet_1024"


def test_a_table_that_is_too_wide_is_blocks_of_lines(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_stdout", lambda: Console(width=width))
    for width in (70, 40):
        Output(Settings()).table("all", ("system", "set", "score"), [(LONG, "dev", "1.00"), (f"{LONG} {LONG}", "", "")])
        shown = capfd.readouterr().out
        assert shown.count(LONG) == 3
        assert max(map(len, shown.splitlines())) <= width
        assert "┃" in shown
    width = 20
    Output(Settings()).table("all", ("system", "set", "score"), [(LONG, "dev", "1.00")])
    assert capfd.readouterr().out == f"all\n{LONG}\n  set: dev, score: 1.00\n"
