"""What commands say on stderr."""

from __future__ import annotations

import pytest

from asdcli.cli.console import Settings, Terminal


def test_no_sentence_is_said_twice(capfd: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(Settings())
    for _ in range(2):
        terminal.say("Device: CPU")
        terminal.warn("half of it is missing")
    assert capfd.readouterr().err == "Device: CPU\nNote: half of it is missing\n"
