"""Pieces of spectrograms cut from waveforms: the same as cutting whole spectrograms, and mixed as the paper says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import toys

from asdcli.audio.frontends.pieces import mean_std
from asdcli.errors import UserError
from asdcli.recipe.components import Component, build
from asdcli.training.labels import CLASS
from asdcli.training.seeds import generator
from asdcli.training.views import VIEWS
from asdcli.training.views.view import Mix


def spectrogram(view: object, data: toys.Sounds, row: int) -> torch.Tensor:
    return view.frontend(torch.from_numpy(data.samples[row])[None].float() / 32768)[0]  # type: ignore[attr-defined]


def test_a_random_piece_is_a_crop_of_the_whole_spectrogram() -> None:
    data = toys.sounds([700, 900, 640, 1500])
    view = toys.pieces(data, normalise="none")
    for step in range(20):
        batch = view.batch(torch.arange(4), generator(step))
        for row in range(4):
            whole = spectrogram(view, data, row)
            crops = [whole[:, start : start + 8] for start in range(whole.shape[1] - 7)]
            assert min((batch.x[row] - crop).abs().max() for crop in crops) < 1e-5


FRONTENDS = [
    {"name": name, "n_fft": 64, "hop_length": 32, "pad_mode": pad_mode, **others}
    for pad_mode in ("constant", "reflect")
    for name, others in (
        ("stft", {}),
        ("logmel", {"n_mels": 16, "subtract_mean": True}),
        ("logmel", {"n_mels": 16, "subtract_mean": False, "floor": 1e-6}),
    )
]


@pytest.mark.parametrize("frontend", FRONTENDS, ids=lambda given: " ".join(map(str, given.values())))
def test_training_and_embedding_see_the_same_numbers_with_every_front_end(frontend: dict[str, object]) -> None:
    """Of clips with a mean far from zero, at both ends of the clip too."""
    data = toys.sounds([8 * 32 - 1, 8 * 32 - 1 + 32 * 3])  # of the first, a single piece is all there is
    samples = [(samples // 4 + 5000).astype(np.int16) for samples in data.samples]
    data = replace(data, samples=samples, frontend=Component.model_validate(frontend))
    view = toys.pieces(data, normalise="none")
    whole = [spectrogram(view, data, row) for row in range(2)]
    torch.testing.assert_close(view.batch(torch.tensor([0]), generator(0)).x[0], whole[0], rtol=1e-4, atol=1e-3)
    crops = [whole[1][:, start : start + 8] for start in range(whole[1].shape[1] - 7)]
    torch.testing.assert_close(view.clip_examples(1)[0], crops[0])
    seen = set()
    for step in range(40):
        x = view.batch(torch.tensor([1]), generator(step)).x[0]
        distances = [float((x - crop).abs().max()) for crop in crops]
        assert min(distances) < 1e-3 * float(whole[1].abs().max())
        seen.add(int(np.argmin(distances)))
    assert seen == set(range(len(crops)))


def test_pieces_want_centred_frames() -> None:
    data = replace(toys.sounds([1600, 1600]), frontend=Component(name="kaldi_fbank"))
    with pytest.raises(UserError, match="view waveform_pieces: pieces are cut for front ends with centred frames"):
        build(VIEWS, "view", Component(name="waveform_pieces"), data, np.arange(2), toys.CPU)


def test_every_crop_can_come_including_the_first_and_the_last() -> None:
    data = toys.sounds([640, 640])
    view = toys.pieces(data, normalise="none")
    whole = spectrogram(view, data, 0)
    crops = [whole[:, start : start + 8] for start in range(whole.shape[1] - 7)]
    seen = set()
    for step in range(300):
        x = view.batch(torch.tensor([0]), generator(step)).x[0]
        seen.add(int(np.argmin([(x - crop).abs().max() for crop in crops])))
    assert seen == set(range(14))


def test_pieces_of_a_clip_are_spread_evenly_and_standardised() -> None:
    data = toys.sounds([1500, 700])
    view = toys.pieces(data)
    whole = spectrogram(view, data, 0)
    last = whole.shape[1] - 8
    expected = torch.stack([whole[:, start : start + 8] for start in (0, round(last / 2), last)])
    torch.testing.assert_close(view.clip_examples(0), mean_std(expected))


def test_pooling_averages_neighbouring_features() -> None:
    data = toys.sounds([700, 700])
    plain, pooled = (toys.pieces(data, pool=pool, normalise="none") for pool in (1, 2))
    assert pooled.input_shape == (plain.input_shape[0] // 2, 8)
    fine = plain.clip_examples(0)
    torch.testing.assert_close(pooled.clip_examples(0), (fine[:, 0:-1:2] + fine[:, 1::2]) / 2)


def test_a_mixed_piece_is_the_spectrogram_of_the_mixed_waveforms() -> None:
    data = toys.sounds([8 * 32 - 1, 8 * 32 - 1])  # exactly one piece long: no choice of crop is left
    view = toys.pieces(data, normalise="none")
    batch = view.batch(torch.tensor([0]), generator(0), Mix(torch.tensor([1]), torch.tensor([0.3])))
    assert batch.mixed is not None
    mixed = torch.lerp(*(torch.from_numpy(s).float() / 32768 for s in data.samples), 0.3)
    torch.testing.assert_close(batch.x[0], view.frontend(mixed[None])[0], rtol=1e-4, atol=1e-5)
    assert (batch.mixed.clip.tolist(), batch.mixed.labels[CLASS].tolist()) == ([1], [1])


def test_places_drawn_once_are_many_all_different_and_of_the_runs_seed() -> None:
    data = toys.sounds([700, 800, 8 * 32 + 31])  # 22 and 26 frames; the last has 9 frames, places for two pieces
    view = toys.pieces(data, per_clip=5, redraw=False)
    assert view.clip.tolist() == [0] * 5 + [1] * 5 + [2] * 2
    first, again = (view.batch(torch.arange(12), generator(step)).x for step in (0, 1))
    assert torch.equal(first, again)
    assert len({tuple(x.flatten().tolist()) for x in first}) == 12
    other = toys.pieces(replace(data, seed=1), per_clip=5, redraw=False).batch(torch.arange(12), generator(0)).x
    assert not torch.equal(first[:10], other[:10])
    redrawn = toys.pieces(data, per_clip=5)
    assert redrawn.clip.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert not torch.equal(*(redrawn.batch(torch.arange(15), generator(step)).x for step in (0, 1)))


def test_a_clip_is_embedded_by_pieces_at_every_hop() -> None:
    """The published code of MobileAnoNet leaves out the last place; a clip with a single place keeps that."""
    data = toys.sounds([10 * 32, 8 * 32 - 1])  # 11 frames and 8
    every, whole = (toys.pieces(data, normalise="none", embed_hop=1, embed_last=last) for last in (False, True))
    spectrum = whole.frontend(torch.from_numpy(data.samples[0])[None].float() / 32768)[0]
    expected = torch.stack([spectrum[:, start : start + 8] for start in range(4)])
    torch.testing.assert_close(whole.clip_examples(0), expected)
    torch.testing.assert_close(every.clip_examples(0), expected[:3])
    assert len(every.clip_examples(1)) == len(whole.clip_examples(1)) == 1
    second = toys.pieces(data, normalise="none", embed_hop=2)
    torch.testing.assert_close(second.clip_examples(0), expected[::2])


def test_a_clip_shorter_than_a_piece_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"fan/train/1.wav has 4 frames, fewer than one piece of 8"):
        toys.pieces(toys.sounds([700, 100]))


@pytest.mark.parametrize("params", [{"frames": 0}, {"pieces": 0}, {"pool": 0}])
def test_impossible_settings(params: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be at least 1|between 0 and 1"):
        toys.pieces(**params)
