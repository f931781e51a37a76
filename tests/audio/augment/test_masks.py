"""SpecAugment: what is hidden, how much of it, and how often."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from asdcli.audio.augment.masks import SpectrogramMasks


def masked(frames: int, bands: int, probability: float = 1.0, count: int = 500) -> Tensor:
    """What is hidden of some examples of 20 bands and 50 frames."""
    torch.manual_seed(0)
    return SpectrogramMasks(frames, bands, probability).train()(torch.ones(count, 20, 50)) == 0


@pytest.mark.parametrize(("frames", "bands"), [(30, 0), (0, 10)])
def test_one_run_of_every_example_is_hidden(frames: int, bands: int) -> None:
    hidden = masked(frames, bands)
    line = hidden[:, 0] if frames else hidden[:, :, 0]
    assert torch.equal(hidden, (line[:, None] if frames else line[:, :, None]).expand_as(hidden))
    edges = torch.diff(torch.nn.functional.pad(line.int(), (1, 1))).clamp_min(0).sum(1)
    assert set(edges.tolist()) == {0, 1}
    sizes = line.sum(1)
    assert set(sizes.tolist()) == set(range(frames or bands))  # torchaudio rounds down: one less than the most
    assert line.any(0)[:-1].all()


def test_both_are_hidden_at_once_and_apart() -> None:
    hidden = masked(30, 10)
    assert torch.equal(hidden, hidden.all(1, keepdim=True) | hidden.all(2, keepdim=True))


def test_some_examples_are_left_alone() -> None:
    share = masked(50, 0, probability=0.25, count=4_000).any(2).any(1).float().mean().item()
    assert share == pytest.approx(0.25 * 49 / 50, abs=0.03)


def test_nothing_is_hidden_where_nothing_is_trained() -> None:
    x = torch.ones(4, 20, 50)
    assert torch.equal(SpectrogramMasks(30, 10, 1.0).eval()(x), x)
    assert torch.equal(SpectrogramMasks(0, 0, 1.0).train()(x), x)


@pytest.mark.parametrize("settings", [(-1, 0, 1.0), (0, -1, 1.0), (1, 1, 1.5)])
def test_impossible_settings_are_refused(settings: tuple[int, int, float]) -> None:
    with pytest.raises(ValueError, match="mask_frames and mask_bands are 0 or more"):
        SpectrogramMasks(*settings)
