"""Samples around any place of a clip are those that a front end sees of the whole clip."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toys

from asdcli.audio.features import samples_at_once
from asdcli.audio.frontends import FRONTENDS
from asdcli.recipe.components import Component, build
from asdcli.training.views.clip_waveforms import ClipWaveforms, PieceCut

HOP, FRAMES, MARGIN = 32, 3, 64  # samples; the margin is what a window of 64 sees beyond its hop


@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
@pytest.mark.parametrize("mean", [False, True])
def test_segments_at_every_place_are_cut_from_the_padded_clip(pad_mode: str, mean: bool) -> None:
    data = toys.sounds([200, 100, 331])
    settings = {"name": "logmel", "n_fft": 64, "hop_length": HOP, "n_mels": 8, "pad_mode": pad_mode}
    frontend = build(FRONTENDS, "front end", Component.model_validate({**settings, "subtract_mean": mean}))
    cut = PieceCut(frontend, FRAMES, toys.CPU)
    waves = ClipWaveforms(data, np.arange(3), toys.CPU)
    rows = torch.tensor([row for row in range(3) for _ in range(len(data.samples[row]))])
    anchors = torch.cat([torch.arange(len(one)) for one in data.samples])
    found = waves.segments(rows, anchors, cut).numpy()
    for one, row, anchor in zip(found, rows.tolist(), anchors.tolist(), strict=True):
        clip = data.samples[row] / np.float32(32768)
        clip = clip - (waves.whole(row).mean().numpy() if mean else np.float32(0))
        beyond = anchor + len(one) - len(clip)  # samples that are wanted behind the end, and more
        padded = np.pad(clip, (MARGIN, max(0, beyond)), mode="reflect" if pad_mode == "reflect" else "constant")
        begin = anchor + MARGIN + int(cut.offsets[0])
        np.testing.assert_array_equal(one, padded[begin : begin + len(one)])


@pytest.mark.parametrize("name", ["stft", "logmel"])
def test_many_segments_come_out_as_of_one_call_of_the_front_end(name: str) -> None:
    """In the layout too: a network's last digits depend on it."""
    frontend = build(FRONTENDS, "front end", Component.model_validate({"name": name, "n_fft": 1024, "hop_length": 512}))
    cut = PieceCut(frontend, 32, toys.CPU)
    segments = torch.randn(40, len(cut.offsets), generator=torch.Generator().manual_seed(0))
    assert segments.numel() > 2 * samples_at_once(toys.CPU)
    found, whole = cut(segments), frontend(segments)[..., 1:33]  # without what sees beyond
    assert torch.equal(found, whole)
    assert found.stride() == whole.stride()
