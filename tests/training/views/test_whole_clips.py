"""Whole clips as examples, cut only where the recipe says so."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toys

from asdcli.errors import UserError
from asdcli.recipe.components import Component, build
from asdcli.training.seeds import generator
from asdcli.training.views import VIEWS
from asdcli.training.views.whole_clips import WholeClips


def view(lengths: list[int], rows: list[int] | None = None, **params: object) -> WholeClips:
    chosen = Component.model_validate({"name": "whole_clips", **params})
    data = toys.clips(lengths, stores=2)
    built = build(VIEWS, "view", chosen, data, np.array(rows or range(len(lengths))), toys.CPU)
    assert isinstance(built, WholeClips)
    return built


def test_an_example_is_a_clip() -> None:
    made, data = view([9] * 5, [4, 1, 2]), toys.clips([9] * 5, stores=2)
    frames = np.concatenate([store.frames for store in data.features]).reshape(5, 9, toys.FEATURES)
    assert made.input_shape == (9, toys.FEATURES)
    assert made.clip.tolist() == [0, 1, 2]
    for number, row in enumerate([4, 1, 2]):
        np.testing.assert_array_equal(made.clip_examples(number), frames[row][None])
    batch = made.batch(torch.tensor([2, 0]), generator("test"))
    np.testing.assert_array_equal(batch.x, frames[[2, 4]])


@pytest.mark.parametrize("rows", [[0, 1], [0], [2]])
def test_clips_of_different_lengths_are_refused_whichever_are_asked_for(rows: list[int]) -> None:
    with pytest.raises(UserError, match=r"train/2\.wav has 7 frames and fan/train/0\.wav 9; .* frames: 7 or less"):
        view([9, 8, 7], rows)


def test_clips_are_cut_where_the_recipe_says_so() -> None:
    made, whole = view([9, 8, 7], frames=6), toys.clips([9, 8, 7], stores=2)
    frames = np.concatenate([store.frames for store in whole.features])
    assert made.input_shape == (6, toys.FEATURES)
    assert made.clip.tolist() == [0, 1, 2]
    for row, begin in enumerate([0, 9, 17]):
        np.testing.assert_array_equal(made.clip_examples(row), frames[None, begin : begin + 6])


def test_a_clip_too_short_for_the_cut_is_named() -> None:
    with pytest.raises(UserError, match=r"fan/train/2\.wav has 7 frames, fewer"):
        view([9, 8, 7], frames=8)
    with pytest.raises(UserError, match="at least 1"):
        view([9, 8, 7], frames=0)
