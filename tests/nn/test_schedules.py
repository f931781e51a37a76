"""Learning-rate schedules: their values, update by update."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asdcli.components import Component, build
from asdcli.errors import UserError
from asdcli.nn import SCHEDULES


def factors(name: str, total: int, **params: Any) -> list[float]:
    schedule = build(SCHEDULES, "schedule", Component.model_validate({"name": name, **params}))
    return [schedule(update, total) for update in range(total)]


@pytest.mark.parametrize("name", SCHEDULES)
@given(total=st.integers(1, 50))
def test_a_schedule_is_a_factor_that_starts_at_one(name: str, total: int) -> None:
    values = factors(name, total)
    assert values[0] == 1
    assert all(0 <= value <= 1 for value in values)


@pytest.mark.parametrize("name", SCHEDULES)
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
    assert schedule(total, total) == pytest.approx(end)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_negative_warm_up_is_the_users_error(name: str) -> None:
    with pytest.raises(UserError, match=f"schedule {name}: warmup is a number of updates and cannot be -1"):
        factors(name, 3, warmup=-1)
