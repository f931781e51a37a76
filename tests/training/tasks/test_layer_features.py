"""The task that trains nothing: standardised clips through a network, place by place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toys
from torch import Tensor, nn

from asdcli.errors import UserError
from asdcli.recipe.schema import Phase
from asdcli.training.seeds import generator
from asdcli.training.tasks.layer_features import LayerFeatures
from asdcli.training.views.frame_windows import FrameWindows
from asdcli.training.views.whole_clips import WholeClips


class Transposed(nn.Module):
    """One channel per place: the value itself."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)[..., None]


def view(data: toys.Clips | None = None) -> WholeClips:
    data = data or toys.clips([6] * 8)
    return WholeClips(data, np.arange(len(data.clips)), toys.CPU)


def test_clips_are_described_place_by_place_in_units_of_the_training_clips() -> None:
    data = toys.clips([6] * 8)
    data.features[0].frames[:] = 5 + np.array([1, 10, 100]) * data.features[0].frames
    task, frames = LayerFeatures(Transposed(), view(data)), data.features[0].frames
    made = toys.embedded(task, view(data).clip_examples(3))
    assert made.keys() == {"positions"}
    assert made["positions"].shape == (toys.FEATURES, 6, 1)
    expected = (frames[18:24] - frames.mean(0)) / frames.std(0)
    np.testing.assert_allclose(made["positions"][..., 0], expected.T, rtol=1e-4, atol=1e-5)


def test_the_times_of_a_band_may_be_pooled() -> None:
    task, example = LayerFeatures(Transposed(), view()), view().clip_examples(3)
    whole = toys.embedded(task, example)["positions"]
    found = task.pooled(torch.cat([example, example]), [1, 1], lambda values: values.amax(0))["positions"]
    assert found.shape == (2, toys.FEATURES, 1, 1)
    torch.testing.assert_close(found[1], whole.amax(1, keepdim=True))


def test_windows_of_clips_are_pooled_together() -> None:
    windows = FrameWindows(toys.clips([6, 10] * 4), np.arange(8), toys.CPU, frames=3, hop=3)
    task, clips = LayerFeatures(Transposed(), windows), [windows.clip_examples(0), windows.clip_examples(1)]
    found = task.pooled(torch.cat(clips), [2, 3], lambda values: values.mean(0))["positions"]
    expected = torch.stack([(part.flatten(0, 1).mean(0) - task.mean) / task.deviation for part in clips])
    torch.testing.assert_close(found[:, :, 0, 0], expected)
    with pytest.raises(UserError, match="whole clips"):
        task.embed(torch.cat(clips), [2, 3])


def test_one_unit_for_all_features_keeps_the_shape_of_a_spectrum() -> None:
    data = toys.clips([6] * 8)
    data.features[0].frames[:] = 5 + np.array([1, 10, 100]) * data.features[0].frames
    task, frames = LayerFeatures(Transposed(), view(data), standardise="all"), data.features[0].frames
    made = toys.embedded(task, view(data).clip_examples(3))["positions"]
    expected = (frames[18:24] - frames.mean()) / frames.std()
    np.testing.assert_allclose(made[..., 0], expected.T, rtol=1e-4, atol=1e-5)


def test_the_units_are_part_of_the_weights() -> None:
    task, other = LayerFeatures(Transposed(), view()), LayerFeatures(Transposed(), view(toys.clips([6] * 2, seed=1)))
    example = view().clip_examples(0)
    assert not toys.same(toys.embedded(task, example), toys.embedded(other, example))
    other.load_state_dict(task.state_dict())
    assert toys.same(toys.embedded(task, example), toys.embedded(other, example))


def test_a_band_that_never_changes_is_no_division_by_zero() -> None:
    data = toys.clips([6] * 8)
    data.features[0].frames[:, 1] = -156.5
    made = toys.embedded(LayerFeatures(Transposed(), view(data)), view(data).clip_examples(0))["positions"]
    assert made.isfinite().all()
    assert made[1].abs().max() < 1e-3


def test_there_is_nothing_to_train() -> None:
    task = LayerFeatures(Transposed(), view())
    with pytest.raises(UserError, match="layer_features has nothing to train") as raised:
        task(view().batch(torch.arange(2), generator("test")), generator("test"))
    assert "steps: 0" in raised.value.hint
    assert Phase(task={"name": "layer_features"}, steps=0, batch_size=1, optimizer={"name": "adam"}).steps == 0


def test_pieces_of_clips_are_refused() -> None:
    windows = toys.view(toys.clips([6] * 8))
    with pytest.raises(UserError, match="the recipe's view cuts one into 3"):
        toys.embedded(LayerFeatures(Transposed(), windows), windows.clip_examples(0))
