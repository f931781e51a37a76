"""Learning-rate schedules: their values, update by update."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from helpers import DATA
from hypothesis import given
from hypothesis import strategies as st

from asdcli.errors import UserError
from asdcli.nn.schedules import SCHEDULES
from asdcli.recipe.components import Component, build

NEEDED: dict[str, dict[str, Any]] = {"step": {"gamma": 0.5}}
WITH_WARMUP = ["constant", "cosine"]


def factors(name: str, total: int, per_epoch: float = 3.0, **params: Any) -> list[float]:
    schedule = build(SCHEDULES, "schedule", Component.model_validate({"name": name, **NEEDED.get(name, {}), **params}))
    return [schedule(update, total, per_epoch) for update in range(total)]


@pytest.mark.parametrize("name", SCHEDULES)
@given(total=st.integers(1, 50))
def test_a_schedule_is_a_factor_that_starts_at_one(name: str, total: int) -> None:
    values = factors(name, total)
    assert values[0] == 1
    assert all(0 <= value <= 1 for value in values)


@pytest.mark.parametrize("name", WITH_WARMUP)
@given(total=st.integers(1, 40), warmup=st.integers(0, 60))
def test_a_warm_up_rises_to_one_in_equal_steps(name: str, total: int, warmup: int) -> None:
    values = factors(name, total, warmup=warmup)
    rise = [(update + 1) / (warmup + 1) for update in range(min(total, warmup + 1))]
    assert values[: len(rise)] == pytest.approx(rise)


def test_constant_by_hand() -> None:
    assert factors("constant", 4) == [1, 1, 1, 1]
    assert factors("constant", 5, warmup=2) == pytest.approx([1 / 3, 2 / 3, 1, 1, 1])


def test_cosine_by_hand() -> None:
    half = math.sqrt(0.5)
    assert factors("cosine", 4) == pytest.approx([1, (1 + half) / 2, 0.5, (1 - half) / 2])
    assert factors("cosine", 6, warmup=2) == pytest.approx([1 / 3, 2 / 3, 1, (1 + half) / 2, 0.5, (1 - half) / 2])
    assert factors("cosine", 4, end=0.2)[2] == pytest.approx(0.6)


@given(total=st.integers(2, 50), end=st.floats(0, 1))
def test_cosine_falls_towards_its_end(total: int, end: float) -> None:
    values = factors("cosine", total, end=end)
    assert all(earlier >= later for earlier, later in pairwise(values))
    schedule = build(SCHEDULES, "schedule", Component.model_validate({"name": "cosine", "end": end}))
    assert schedule(total, total, 1.0) == pytest.approx(end)


@pytest.mark.parametrize("name", WITH_WARMUP)
def test_a_negative_warm_up_is_the_users_error(name: str) -> None:
    with pytest.raises(UserError, match=f"schedule {name}: warmup is a number of updates and cannot be -1"):
        factors(name, 3, warmup=-1)


@pytest.mark.parametrize(("epochs", "batches"), [(80, 7), (30, 1), (5, 57)])
def test_stairs_are_torchs_cosine_moved_once_per_epoch(epochs: int, batches: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    expected = []
    for _ in range(epochs):
        expected += [optimizer.param_groups[0]["lr"]] * batches
        optimizer.step()
        scheduler.step()
    assert factors("cosine", epochs * batches, stairs=epochs) == pytest.approx(expected, abs=1e-9)


@given(total=st.integers(1, 60), stairs=st.integers(1, 80), warmup=st.integers(0, 10))
def test_stairs_have_so_many_levels_at_most_and_lie_on_the_cosine_or_above(
    total: int, stairs: int, warmup: int
) -> None:
    stepped, smooth = (factors("cosine", total, warmup=warmup, stairs=levels) for levels in (stairs, 0))
    assert len(set(stepped[warmup:])) <= stairs
    assert all(high >= low - 1e-12 for high, low in zip(stepped, smooth, strict=True))
    schedule = build(SCHEDULES, "schedule", Component.model_validate({"name": "cosine", "stairs": stairs}))
    assert schedule(total, total, 1.0) == pytest.approx(0)


def test_a_negative_number_of_stairs_is_the_users_error() -> None:
    with pytest.raises(UserError, match="stairs is a number of levels and cannot be -1"):
        factors("cosine", 3, stairs=-1)


@given(batches=st.integers(1, 9), epochs=st.integers(1, 9), every=st.integers(1, 4))
def test_step_is_torchs_moved_once_per_epoch(batches: int, epochs: int, every: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, every, gamma=0.8)
    expected = []
    for _ in range(epochs):
        expected += [optimizer.param_groups[0]["lr"]] * batches
        optimizer.step()
        scheduler.step()
    assert factors("step", epochs * batches, batches, gamma=0.8, epochs=every) == pytest.approx(expected)


def test_an_update_of_several_batches_is_of_the_epoch_in_which_it_ends() -> None:
    """Seven batches an epoch, two an update: the fourth update has the last of one epoch and the next's first."""
    assert factors("step", 7, 3.5, gamma=0.5) == [1, 1, 1, 0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("params", [{"gamma": 0.0}, {"gamma": 1.5}, {"gamma": 0.5, "epochs": 0}])
def test_a_step_that_is_none_is_the_users_error(params: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="schedule step: gamma is a factor up to 1 and epochs at least 1"):
        factors("step", 3, **params)


def test_cosine_after_a_warm_up_in_epochs_is_that_of_vicreg() -> None:
    """100 epochs of 6 steps, 10 of them to rise from 0 to 0.8, then down to 0.0008 (tests/data: losses.npz)."""
    found = factors("cosine", 600, 6.0, warmup_epochs=10.0, begin=0.0, end=0.001)
    golden = np.load(DATA / "losses.npz")["vicreg_lr_schedule_100ep_6steps"]
    np.testing.assert_allclose(0.8 * np.array(found), golden, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", WITH_WARMUP)
def test_a_warm_up_in_epochs_is_one_in_updates(name: str) -> None:
    assert factors(name, 30, 4.0, warmup_epochs=2.0) == factors(name, 30, 4.0, warmup=8)
    assert factors(name, 30, 2.5, warmup_epochs=2.0) == factors(name, 30, 2.5, warmup=5)
    for wrong in ({"warmup_epochs": -1.0}, {"warmup": 3, "warmup_epochs": 1.0}):
        with pytest.raises(UserError, match=f"schedule {name}: warmup"):
            factors(name, 3, **wrong)


def test_a_rise_may_begin_at_the_rate_it_ends_with() -> None:
    """The reading of AITHU's restarts: ten updates from 1e-5 to 5e-3, and down to 1e-5 again."""
    rates = 0.005 * np.array(factors("cosine", 100, 10.0, warmup=10, begin=0.002, end=0.002))
    np.testing.assert_allclose(rates[:11], np.linspace(1e-5, 5e-3, 11))
    assert rates[10:].max() == rates[10]
    assert rates[-1] == pytest.approx(1e-5, rel=0.2)
    with pytest.raises(UserError, match="schedule cosine: begin is a factor from 0 to 1, not 2"):
        factors("cosine", 3, begin=2.0)
