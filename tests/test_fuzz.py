"""bench/fuzz.py for a second, with one seed: every reader of sound, labels and state meets damage."""

from __future__ import annotations

import sys

import pytest
from helpers import REPOSITORY

INPUTS = 400


def test_damage_is_a_right_answer_or_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(REPOSITORY / "bench"), *sys.path])
    import fuzz

    counts = fuzz.campaign(20261127, lambda number: number < INPUTS)
    assert counts.total() == INPUTS
    assert {target for target, _ in counts} == {target.__name__ for target in fuzz.TARGETS}
    assert counts["sound", "read"]
    assert counts["sound", "refused"]
    assert list(fuzz.rows(counts))[-1].split() == ["all", "400"]


@pytest.mark.slow
def test_a_damaged_root_is_made_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(REPOSITORY / "bench"), *sys.path])
    import fuzz

    counts = fuzz.campaign(20261127, lambda number: number < 25, (fuzz.root,))
    assert counts["root", "read"] > 15
