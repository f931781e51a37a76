"""The benchmarks run, at their shortest, and tell figures that can be."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from helpers import REPOSITORY

from asdcli.recipe.loading import load_recipe


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(REPOSITORY / "bench")])


def test_every_target_of_the_makefile_has_a_rule() -> None:
    text = (REPOSITORY / "Makefile").read_text()
    (targets,) = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert set(targets.split()) <= set(re.findall(r"^([\w-]+):", text, re.MULTILINE))


def test_the_share_of_a_step_that_is_not_the_network() -> None:
    import train

    found = train.measured(load_recipe("baseline_ae").resolve(member="ae"), "train", seconds=0)
    assert found.batch == 256
    assert 0 < found.outside < 1
    assert found.clips_per_s == pytest.approx(256 / 309 / found.seconds)  # a clip of 313 frames has 309 windows of 5


def test_packing_and_features_beside_their_limits() -> None:
    import store

    before = torch.get_num_threads()
    try:
        found = store.compared(clips=2, rounds=1)
    finally:
        torch.set_num_threads(before)
    assert {side for side, one in found.items() if one.wall_share == one.cpu_share == 1} >= {
        one.reference for one in found.values() if one.reference.startswith("decoding")
    }
    assert all(min(one.wall, one.cpu_share) > 0 for one in found.values())


@pytest.mark.parametrize(("recipe", "member", "phase"), [("arcface_ensemble", "resnet50_512", "source")])
def test_a_recipe_of_two_steps_can_be_trained(recipe: str, member: str, phase: str, tmp_path: Path) -> None:
    import memory

    memory.write_recipe(tmp_path / "short", recipe, member)
    method = load_recipe(str(tmp_path / "short")).resolve(member=member)
    assert [(name, one.steps) for name, one in method.phases.items()] == [(phase, 2)]
