"""`asd threshold`: wishes in words, and what is said of what the clips support."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import invoke

from asdcli.cli.threshold import wish_of
from asdcli.errors import UserError


@pytest.mark.parametrize(
    ("alarms", "every", "rate"),
    [
        ("1/day", "10min", 1 / 144),
        ("2/week", "1h", 2 / 168),
        ("1 per 2days", "30 s", 1 / 5760),
        ("0.5/h", "1 minute", 0.5 / 60),
        ("1/month", "days", 1 / 30),
    ],
)
def test_counts_and_times_become_a_rate(alarms: str, every: str, rate: float) -> None:
    wish = wish_of(alarms, every, None, None)
    assert wish is not None
    assert wish.rate == pytest.approx(rate)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("1/day", None, None, None), "how often a clip is scored"),
        ((None, "10min", None, None), "how often a clip is scored"),
        (("1/day", "10min", 0.1, None), "--false-alarms and --fpr say two things"),
        ((None, None, 0.1, 3.0), "--fpr and --value say two things"),
        ((None, None, None, 3.0, True), "--value and --unset say two things"),
        ((None, None, 1.0, None), "between 0 and 1"),
        (("0/day", "10min", None, None), "no count of false alarms"),
        (("one a day", "10min", None, None), "no count of false alarms"),
        (("1/fortnight", "10min", None, None), "no length of time"),
        (("200/day", "10min", None, None), "1.389 of all clips alarm"),
    ],
)
def test_wishes_that_cannot_be(options: tuple, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        wish_of(*options)


def test_no_wish_is_no_wish() -> None:
    assert wish_of(None, None, None, None) is None


def test_looking_and_going_back_import_no_torch(imported_by_asd, tree: Path) -> None:
    chosen = ("--root", str(tree), "--recipe", "padim", "--member", "random", "--profile", "smoke", "-q")
    invoke("threshold", *chosen, "--machine", "SynBearing", "--fpr", "0.2")
    for command in (("threshold", *chosen), ("threshold", *chosen, "--unset")):
        assert "torch" not in imported_by_asd(*command, "--machine", "SynBearing")


def test_what_the_clips_support_is_printed(asd, tree: Path) -> None:
    chosen = ("--root", tree, "--machine", "SynBearing", "--profile", "smoke")
    said = asd(
        "threshold", "--recipe", "padim", "--member", "random", *chosen, "--false-alarms", "1/day", "--every", "10min"
    )
    assert (
        "SynBearing section 00: 8 clips support 1 in 9 at best; for 1/day at 144 clips per day record 143."
        in said.stdout
    )
    assert "clips of one day" in said.stdout
    printed = json.loads(asd("threshold", "--root", tree, "--machine", "SynBearing", "--json").stdout)
    assert printed[0]["asked_for"] == "1/day at 144 clips per day"
    assert printed[0]["rate_promised"] == pytest.approx(1 / 9)
    assert printed[0]["clips_needed"] == 143
    said = asd("threshold", "--recipe", "baseline_ae", *chosen, "--fpr", "0.2")
    assert "No promise for ae: its network was trained on these clips" in said.stdout
    assert "little more than a guess" not in asd("score", "--recipe", "baseline_ae", *chosen).stderr
    asd("threshold", "--recipe", "baseline_ae", *chosen, "--detector", "mse", "--unset")
    assert "little more than a guess" in asd("score", "--recipe", "baseline_ae", *chosen).stderr
    asd("threshold", *chosen, "--fpr", "0.2", "--value", "1", code=2)
    asd("threshold", *chosen, "--value", "1", "--clips", tree, code=2)
