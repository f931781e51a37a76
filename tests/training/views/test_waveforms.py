"""Clips as samples, of one length."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toys

from asdcli.audio.frontends import FRONTENDS
from asdcli.training.seeds import generator
from asdcli.training.views.view import Mix
from asdcli.training.views.waveforms import Waveforms


def view(lengths: list[int], seconds: float = 0.05) -> tuple[Waveforms, list[np.ndarray]]:
    data = toys.sounds(lengths)
    return Waveforms(data, np.arange(len(lengths)), toys.CPU, seconds=seconds), data.samples  # 800 samples


def test_the_beginning_of_each_clip_and_zeros_beyond_its_end() -> None:
    made, samples = view([500, 800, 1200])
    batch = made.batch(torch.tensor([2, 0, 1]), generator(0))
    assert made.input_shape == (800,)
    expected = np.zeros((3, 800), np.float32)
    for row, clip in enumerate((2, 0, 1)):
        part = samples[clip][:800] / 32768
        expected[row, : len(part)] = part
    np.testing.assert_array_equal(batch.x.numpy(), expected)
    assert batch.label.tolist() == [0, 0, 1]
    assert torch.equal(made.clip_examples(0)[0], batch.x[1])


def test_waveforms_are_mixed() -> None:
    made, _ = view([800, 900])
    whole = made.batch(torch.arange(2), generator(0)).x
    mixed = made.batch(torch.tensor([0]), generator(0), Mix(torch.tensor([1]), torch.tensor([0.25])))
    torch.testing.assert_close(mixed.x[0], 0.75 * whole[0] + 0.25 * whole[1])
    assert mixed.mixed is not None
    assert mixed.mixed.clip.tolist() == [1]


def test_it_goes_with_the_waveform_alone() -> None:
    assert Waveforms.shape(FRONTENDS["waveform"](), seconds=0.5) == (8000,)
    with pytest.raises(ValueError, match="its front end is waveform"):
        Waveforms.shape(FRONTENDS["stft"](), seconds=0.5)
    with pytest.raises(ValueError, match="seconds is 0"):
        view([800], seconds=0)
