"""Transformed pieces: classes without labels, pieces inside their clips, nothing but the generator, and learnable."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
import toys
from torch import Tensor

from asdcli.audio.clips import ClipTable
from asdcli.audio.frontends import FRONTENDS
from asdcli.audio.frontends.pieces import mean_std
from asdcli.nn.backbones.mobilefacenet import MobileFaceNet
from asdcli.recipe.components import Component
from asdcli.training.seeds import generator
from asdcli.training.tasks.arcface import ArcFaceClassification
from asdcli.training.views.transformed_pieces import TransformedPieces
from asdcli.training.views.view import class_count

SHORT = {"n_fft": 64, "hop_length": 48, "n_mels": 8, "f_min_hz": 50.0, "f_max_hz": 6400.0}
FRAMES = 8
SPAN = (FRAMES - 1) * 48 + 64


@dataclass(frozen=True)
class Unlabelled:
    """Clips of a machine that has one section, no attributes and no domains: asking for classes is an error."""

    samples: list[np.ndarray]
    frontend: Component

    @property
    def clips(self) -> ClipTable:
        return toys.sounds([len(part) for part in self.samples]).clips

    @property
    def labels(self) -> np.ndarray:
        raise AssertionError("the classes must not depend on the data")

    @property
    def classes(self) -> list[str]:
        raise AssertionError("the classes must not depend on the data")

    def waveforms(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen = [self.samples[row] for row in rows]
        return np.concatenate(chosen), np.array([len(part) for part in chosen])


def sounds(samples: list[np.ndarray] | None = None, **frontend: Any) -> Unlabelled:
    """By default twelve clips of noise, of 700 samples or a little more."""
    samples = samples or toys.sounds([700 + 30 * index for index in range(12)]).samples
    return Unlabelled(samples, Component.model_validate({"name": "logmel", **SHORT, **frontend}))


def pieces(data: Unlabelled | None = None, **params: Any) -> TransformedPieces:
    data = data or sounds()
    return TransformedPieces(data, np.arange(len(data.clips)), toys.CPU, **{"frames": FRAMES, "pieces": 3, **params})


def plain(wave: np.ndarray, begin: int) -> Tensor:
    """The untransformed piece whose first window begins at this sample."""
    padded = np.concatenate([np.zeros(16), wave[begin : begin + SPAN] / 32768]).astype(np.float32)
    spectrum = FRONTENDS["logmel"](**SHORT)(torch.from_numpy(padded)[None])[0]
    return mean_std(spectrum[:, 1 : FRAMES + 1])  # frame 1 has its centre at sample 48: 16 zeros and half a window


def test_every_example_has_the_same_shape_and_every_class_comes_equally_often() -> None:
    view = pieces(frames=5)
    assert class_count(view) == len(view.transformations) == 6
    assert view.input_shape == (8, 5)
    counts = torch.zeros(6)
    for step in range(200):
        batch = view.batch(torch.arange(12), generator(step))
        assert batch.x.shape == (12, 8, 5)
        assert batch.x.isfinite().all()
        counts += torch.bincount(batch.label, minlength=6)
    assert ((counts / counts.sum() - 1 / 6).abs() < 0.03).all()


def test_a_batch_is_a_function_of_its_examples_and_generator() -> None:
    data = sounds()
    one, other = pieces(data), pieces(data)
    other.batch(torch.arange(7), generator("before"))
    torch.manual_seed(1)
    expected = one.batch(torch.tensor([3, 3, 5, 0]), generator("step", 9))
    torch.manual_seed(2)
    again = other.batch(torch.tensor([3, 3, 5, 0]), generator("step", 9))
    assert toys.same([expected.x, expected.label, expected.clip], [again.x, again.label, again.clip])
    assert not torch.equal(expected.x, one.batch(torch.tensor([3, 3, 5, 0]), generator("step", 10)).x)


def test_a_piece_is_one_of_its_own_clip_unless_it_is_transformed() -> None:
    data = sounds()
    view = pieces(data, pitch_semitones=[2.0], speed=[0.5], noise_snr_db=[0.0])
    batch = view.batch(torch.arange(12), generator(0))
    assert set(batch.label.tolist()) == {0, 1, 2, 3}
    for row, label in enumerate(batch.label.tolist()):
        wave = data.samples[row]
        crops = [plain(wave, begin) for begin in range(len(wave) - SPAN + 1)]
        nearest = min((batch.x[row] - crop).abs().max() for crop in crops)
        assert nearest < 1e-3 if label == 0 else nearest > 0.1


def test_pieces_of_a_clip_are_untransformed_and_reach_from_its_start_to_its_end() -> None:
    data = sounds()
    view = pieces(data)
    room = len(data.samples[5]) - SPAN
    expected = torch.stack([plain(data.samples[5], begin) for begin in (0, round(room / 2), room)])
    torch.testing.assert_close(view.clip_examples(5), expected, rtol=0, atol=1e-4)


def test_pieces_never_reach_beyond_their_clip() -> None:
    """Clips just long enough, between clips that are far louder: whoever takes a sample of those stands out."""
    longest = max(cut.span for cut in pieces()._cuts)
    rng = np.random.default_rng(0)
    loud, quiet = (rng.integers(-peak, peak, longest).astype(np.int16) for peak in (30_000, 30))
    view, alone = pieces(sounds([loud, quiet, loud])), pieces(sounds([quiet]))
    for step in range(30):
        x, own = (v.batch(torch.tensor([row]), generator(step)).x for v, row in ((view, 1), (alone, 0)))
        assert torch.equal(x, own)


def test_loudness_tells_nothing() -> None:
    samples = toys.sounds([900] * 12).samples
    quiet, loud = pieces(sounds(samples)), pieces(sounds([8 * part for part in samples]))
    one, other = (view.batch(torch.arange(12), generator(0)).x for view in (quiet, loud))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-3)


def machine(seed: int, seconds: float = 1.0) -> np.ndarray:
    """A hum with overtones and a knock every 60 ms, in some noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * 16_000)) / 16_000
    hum = sum(np.sin(2 * np.pi * 310 * n * t + rng.uniform(0, 6)) / n for n in range(1, 9))
    knocks = rng.standard_normal(len(t)) * np.exp(-((t + rng.uniform(0, 0.06)) % 0.06) / 0.004)
    sound = 0.1 * hum + 0.3 * knocks + 0.01 * rng.standard_normal(len(t))
    return (3000 * sound).astype(np.int16)


def test_a_small_network_learns_the_classes_and_clips_it_has_not_heard() -> None:
    frontend = {"n_fft": 256, "hop_length": 192, "n_mels": 48}
    train, test = (sounds([machine(seed) for seed in seeds], **frontend) for seeds in (range(40), range(40, 80)))
    chosen = {"frames": 32, "noise_snr_db": [0.0]}
    view, unheard = pieces(train, **chosen), pieces(test, **chosen)
    torch.manual_seed(0)
    model = MobileFaceNet(view.input_shape, stem=8, stages=[(2, 8, 1, 2), (2, 16, 1, 2)], head=32, embedding=16)
    task = ArcFaceClassification(model, view)
    optimizer = torch.optim.Adam(task.parameters(), 0.01)
    for step in range(40):
        loss = task(view.batch(torch.arange(40), generator("train", step)), generator("task", step))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    task.eval()
    with torch.no_grad():
        hits = [
            float(task(unheard.batch(torch.arange(40), generator("test", step)), generator("task"))["accuracy"])
            for step in range(5)
        ]
    assert np.mean(hits) > 0.6  # six classes: chance is 0.17


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"frames": 0}, "frames and pieces must be at least 1"),
        ({"pieces": 0}, "frames and pieces must be at least 1"),
        ({"pitch_semitones": [-6.0]}, "-6 semitones leave the bands above .* Hz empty"),
        ({"frames": 16}, r"fan/train/0.wav has 700 samples, fewer than the 964 of a piece"),
    ],
)
def test_impossible_settings(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        pieces(**params)


def test_another_front_end_is_refused() -> None:
    with pytest.raises(ValueError, match="logmel hears, not Stft"):
        pieces(replace(sounds(), frontend=toys.SHORT_STFT))
