"""Every registered view, built with its defaults, and the windows of frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys
from hypothesis import given
from hypothesis import strategies as st

from asdcli.errors import UserError
from asdcli.recipe.components import Component, build
from asdcli.training.seeds import generator
from asdcli.training.views import VIEWS
from asdcli.training.views.view import View, class_count

LENGTHS = [9, 7, 12, 8, 7]
SHORT_LOGMEL = Component.model_validate(
    {"name": "logmel", "n_fft": 64, "hop_length": 64, "n_mels": 4, "f_max_hz": 6400.0}
)


def plain_data(name: str) -> Any:
    """Five clips as a view wants them."""
    plain: dict[str, Any] = {
        "frame_windows": toys.clips(LENGTHS, stores=2),
        "whole_clips": toys.clips([9] * 5, stores=2),
        "transformed_pieces": replace(toys.sounds([6000 + n for n in LENGTHS]), frontend=SHORT_LOGMEL),
    }
    return plain.get(name) or toys.sounds([1100 + n for n in LENGTHS])


def view(name: str, rows: list[int] | None = None, data: Any = None, **params: Any) -> View:
    chosen = Component.model_validate({"name": name, **params})
    data = data or plain_data(name)
    built: View = build(VIEWS, "view", chosen, data, np.array(rows if rows is not None else range(5)), toys.CPU)
    return built


@pytest.mark.parametrize("name", VIEWS)
def test_a_batch_has_the_examples_asked_for(name: str) -> None:
    made = view(name)
    examples = torch.tensor([3, 0, 4])
    batch = made.batch(examples, generator("test"))
    assert batch.x.shape == (3, *made.input_shape)
    assert batch.x.dtype == torch.float32
    assert batch.clip.tolist() == made.clip[examples].tolist()
    again = made.batch(examples, generator("test"))
    assert torch.equal(again.x, batch.x)
    one = made.batch(examples[1:2], generator("test"))
    assert one.x.shape == (1, *made.input_shape)


@pytest.mark.parametrize("name", VIEWS)
def test_every_clip_has_examples_of_its_own(name: str) -> None:
    made = view(name)
    assert made.clip.unique().tolist() == list(range(5))
    for row in range(5):
        examples = made.clip_examples(row)
        assert len(examples) > 0
        assert examples.shape[1:] == made.input_shape


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_of_some_clips_is_that_part_of_the_whole(name: str) -> None:
    whole, part = view(name), view(name, [4, 1, 2])
    assert part.clips.path.tolist() == ["fan/train/4.wav", "fan/train/1.wav", "fan/train/2.wav"]
    for row, original in enumerate([4, 1, 2]):
        assert torch.equal(part.clip_examples(row), whole.clip_examples(original))


@pytest.mark.parametrize("name", VIEWS)
def test_data_that_memory_does_not_hold_make_the_same_examples(name: str, tmp_path: Path) -> None:
    held = view(name)
    made = view(name, data=toys.InFile(plain_data(name), tmp_path))
    assert (held.streamed, made.streamed) == (False, True)  # type: ignore[attr-defined]
    examples = torch.tensor([3, 0, 4])
    one, other = (toys.mixed_batch(each, examples) for each in (held, made))
    assert one.x.dtype == other.x.dtype == torch.float32
    assert torch.equal(one.x, other.x)
    assert toys.same(dict(one.labels), dict(other.labels))
    for row in range(5):
        assert torch.equal(held.clip_examples(row), made.clip_examples(row))


@pytest.mark.parametrize("stores", [1, 2, 5])
@pytest.mark.parametrize(("frames", "hop"), [(5, 1), (3, 2), (7, 3), (1, 1)])
def test_windows_are_cut_from_their_clip(stores: int, frames: int, hop: int) -> None:
    data = toys.clips(LENGTHS, stores=stores)
    made = view("frame_windows", data=data, frames=frames, hop=hop)
    parts = [part for store in data.features for part in np.split(store.frames, store.offsets[1:-1])]
    assert [len(part) for part in parts] == LENGTHS
    expected = [
        (row, part[start : start + frames])
        for row, part in enumerate(parts)
        for start in range(0, len(part) - frames + 1, hop)
    ]
    assert made.clip.tolist() == [row for row, _ in expected]
    everything = made.batch(torch.arange(len(expected)), generator("test"))
    np.testing.assert_array_equal(everything.x.numpy(), np.stack([window for _, window in expected]))
    for row in range(len(LENGTHS)):
        own = np.stack([window for number, window in expected if number == row])
        np.testing.assert_array_equal(made.clip_examples(row).numpy(), own)


def test_five_frames_are_the_default_of_the_baselines() -> None:
    assert view("frame_windows").input_shape == (5, toys.FEATURES)
    assert len(view("frame_windows").clip) == sum(length - 4 for length in LENGTHS)


def test_a_clip_shorter_than_a_window_is_named() -> None:
    with pytest.raises(UserError, match=r"view frame_windows: fan/train/1\.wav has 7 frames, fewer than one .* of 8"):
        view("frame_windows", frames=8)
    assert len(view("frame_windows", rows=[0, 2], frames=8).clip) == 2 + 5  # a short clip elsewhere is no matter


@pytest.mark.parametrize("params", [{"frames": 0}, {"hop": 0}, {"embed_hop": 0}, {"embed_hop": -1}])
def test_impossible_windows_are_the_users_error(params: dict[str, int]) -> None:
    with pytest.raises(UserError, match="frames, hop and embed_hop must be at least 1"):
        view("frame_windows", **params)


@given(st.integers(1, 7), st.integers(1, 5), st.integers(1, 5))
def test_a_clip_is_embedded_at_a_hop_of_its_own(frames: int, hop: int, embed_hop: int) -> None:
    made = view("frame_windows", frames=frames, hop=hop, embed_hop=embed_hop)
    assert len(made.clip) == sum(-(-(length - frames + 1) // hop) for length in LENGTHS)  # training is as without it
    other = view("frame_windows", frames=frames, hop=embed_hop)
    for row in range(len(LENGTHS)):
        assert torch.equal(made.clip_examples(row), other.clip_examples(row))


def test_windows_carry_the_class_of_their_clip_where_they_are_asked_to() -> None:
    data = toys.clips(LENGTHS, sections=("02", "00", "01"))
    made = view("frame_windows", data=data, rows=[4, 0, 2], labelled=True)
    examples = torch.arange(len(made.clip))
    label = made.batch(examples, generator("test")).label
    assert label.tolist() == [[0, 2, 1][clip] for clip in made.clip.tolist()]
    assert view("frame_windows", data=data).batch(examples, generator("test")).labels == {}
    assert class_count(made) == 3


def test_clips_of_one_class_have_windows_but_no_labels() -> None:
    assert len(view("frame_windows").clip)
    with pytest.raises(ValueError, match="no classes to tell apart"):
        class_count(view("frame_windows"))
    with pytest.raises(UserError, match="a single class by section"):
        class_count(view("frame_windows", labelled=True))
