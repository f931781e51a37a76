"""Which examples train and which only measure."""

from __future__ import annotations

from typing import Any

import pytest
import toys
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from asdcli.errors import UserError
from asdcli.training.split import split_examples
from asdcli.training.views.view import View


def split(view: View, seed: int = 0, name: str = "train", **validation: Any) -> tuple[list[int], list[int]]:
    train, held = split_examples(view, toys.phase(validation=validation or None), seed, name)
    return train.tolist(), held.tolist()


def clips_of(view: View, examples: list[int]) -> set[int]:
    rows: Tensor = view.clip[examples]
    return set(rows.tolist())


@given(
    lengths=st.lists(st.integers(2, 12), min_size=3, max_size=12),
    fraction=st.floats(0.05, 0.6),
    pick=st.sampled_from(["random", "last"]),
    unit=st.sampled_from(["clip", "window"]),
    seed=st.integers(0, 5),
)
def test_every_example_is_on_one_side(lengths: list[int], fraction: float, pick: str, unit: str, seed: int) -> None:
    view = toys.view(toys.clips(lengths))
    train, held = split(view, seed, fraction=fraction, pick=pick, unit=unit)
    assert sorted(train + held) == list(range(len(view.clip)))
    units = len(lengths) if unit == "clip" else len(view.clip)
    count = len(clips_of(view, held)) if unit == "clip" else len(held)
    assert count == max(1, round(fraction * units))
    if unit == "clip":
        assert not clips_of(view, train) & clips_of(view, held)
    if pick == "last":
        assert max(train) < min(held)


def test_windows_of_one_clip_may_stand_on_both_sides() -> None:
    view = toys.view()
    train, held = split(view, fraction=0.25, unit="window", pick="random")
    assert clips_of(view, train) & clips_of(view, held)


def test_last_is_the_end_of_the_list() -> None:
    view = toys.view()  # 24 windows of 8 clips
    assert split(view, fraction=0.1, unit="window", pick="last")[1] == [22, 23]
    assert split(view, fraction=0.25, unit="clip", pick="last")[1] == list(range(18, 24))


def test_random_depends_on_the_seed_and_the_phase() -> None:
    view, chosen = toys.view(), {"fraction": 0.5, "unit": "window"}
    assert split(view, **chosen) == split(view, **chosen)
    assert split(view, **chosen) != split(view, seed=1, **chosen)
    assert split(view, **chosen) != split(view, name="finetune", **chosen)


def test_without_validation_everything_trains() -> None:
    assert split(toys.view()) == (list(range(24)), [])


def test_only_clips_of_the_domain_are_split() -> None:
    view = toys.view(toys.clips([6] * 8, ["source"] * 6 + ["target"] * 2))
    phase = toys.phase(clips="target", validation={"fraction": 0.5})
    train, held = (set(part.tolist()) for part in split_examples(view, phase, 0, "train"))
    assert train | held == set(range(18, 24))
    assert len(train) == len(held) == 3


@pytest.mark.parametrize(("lengths", "fraction"), [([9], 0.5), ([6, 6], 0.9)])
def test_too_few_clips_to_split_is_the_users_error(lengths: list[int], fraction: float) -> None:
    with pytest.raises(UserError, match=rf"Phase train: {len(lengths)} clips cannot be split for validation"):
        split(toys.view(toys.clips(lengths)), fraction=fraction, unit="clip")
