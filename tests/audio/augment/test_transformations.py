"""Transformations measured on sounds that one can count: tones, clicks and noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy.signal import butter, lfilter, welch
from torch import Tensor

from asdcli.audio.augment.transformations import Transformation, add_noise, transformations, transformed_frontend
from asdcli.audio.frontends import FRONTENDS
from asdcli.recipe.components import Component, check
from asdcli.recipe.loading import load_recipe
from asdcli.training.seeds import generator

RATE = 16_000
PARAMS = load_recipe("ssl_classifier").resolve(member="classifier").frontend.params
FINE = PARAMS | {"n_fft": 256, "hop_length": 32, "n_mels": 32}


def heard(wave: np.ndarray, params: dict[str, Any] = PARAMS, **transformation: float) -> Tensor:
    """`[mels, frames]` of a waveform, without the frames that see its ends."""
    checked = check(FRONTENDS, "front end", Component(name="logmel", **params))
    frontend = transformed_frontend(checked, Transformation(**transformation))
    spectrum: Tensor = frontend(torch.from_numpy(wave.astype(np.float32))[None])[0]
    edge = frontend.window.numel() // frontend.hop_length + 1
    return spectrum[:, edge:-edge]


def tone(frequency_hz: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(int(seconds * RATE)) / RATE)


def clicks(every_s: float, seconds: float = 2.0) -> np.ndarray:
    wave = np.zeros(int(seconds * RATE))
    wave[:: int(every_s * RATE)] = 1.0
    return wave


def click_distance_s(spectrum: Tensor) -> float:
    """Mean distance of the clicks in time as the front end counts it."""
    power = (10 ** (spectrum / 10)).sum(0)
    loud = (power > power.max() / 2).int()
    rises = (loud.diff() == 1).nonzero().squeeze(1)
    return float((rises[-1] - rises[0]) / (len(rises) - 1)) * FINE["hop_length"] / RATE


@given(st.floats(-6, 6), st.floats(200, 4000))
@example(5.8, 4000.0)
def test_a_tone_moves_by_the_semitones(semitones: float, frequency_hz: float) -> None:
    params = PARAMS | {"f_max_hz": 5600.0}
    moved = frequency_hz * 2 ** (semitones / 12)
    assume(moved < params["f_max_hz"])  # beyond, there is only leakage to be heard
    shifted, expected = heard(tone(frequency_hz), params, semitones=semitones), heard(tone(moved), params)
    band, wanted = int(shifted.mean(1).argmax()), int(expected.mean(1).argmax())
    assert abs(band - wanted) <= 1


@pytest.mark.parametrize("semitones", [-2.0, 2.0, 5.0])
def test_a_shifted_tone_looks_like_a_tone_of_that_pitch(semitones: float) -> None:
    shifted, expected = heard(tone(1000), semitones=semitones), heard(tone(1000 * 2 ** (semitones / 12)))
    near = expected.mean(1) > expected.max() - 25  # the main lobe
    difference = (shifted.mean(1) - expected.mean(1))[near]
    assert difference.std() < 1.0  # dB, beside a constant: a longer window gathers more energy


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.0, 1.25, 2.0])
def test_clicks_come_faster_by_the_speed(speed: float) -> None:
    assert click_distance_s(heard(clicks(0.1), FINE, speed=speed)) == pytest.approx(0.1 / speed, rel=0.03)


def test_pitch_and_speed_are_changed_one_without_the_other() -> None:
    assert click_distance_s(heard(clicks(0.1), FINE, semitones=3.0)) == pytest.approx(0.1, rel=0.03)
    torch.testing.assert_close(heard(tone(1000), speed=1.25).mean(1), heard(tone(1000)).mean(1), rtol=0, atol=0.5)


def test_without_a_transformation_it_is_the_front_end_itself() -> None:
    wave = np.random.default_rng(0).standard_normal(RATE)
    plain = FRONTENDS["logmel"](**PARAMS)(torch.from_numpy(wave.astype(np.float32))[None])[0]
    assert torch.equal(heard(wave), plain[:, 2:-2])


@pytest.mark.parametrize("transformation", [{"semitones": -2.0}, {"semitones": 2.0}, {"speed": 0.8}, {"speed": 1.25}])
def test_stationary_noise_does_not_betray_what_was_done_to_it(transformation: dict[str, float]) -> None:
    """White noise sounds the same at any pitch and speed; neither spread nor neighbours may tell otherwise."""
    wave = np.random.default_rng(0).standard_normal(60 * RATE)

    def texture(spectrum: Tensor) -> np.ndarray:
        """Spread, and correlation with the neighbour in time and in frequency."""
        rows = spectrum - spectrum.mean(1, keepdim=True)
        late, high = (rows[:, 1:] * rows[:, :-1]).mean(), (rows[1:] * rows[:-1]).mean()
        return np.array([rows.std() / 6, late / rows.var(), high / rows.var()])

    np.testing.assert_allclose(texture(heard(wave, **transformation)), texture(heard(wave)), atol=0.015)
    slope = heard(wave, **transformation).mean(1) - heard(wave).mean(1)
    assert slope.std() < 0.3  # dB: no empty bands, no edge

    overlapping = PARAMS | {"hop_length": 512}  # what the measure finds where there is something to find
    if transformation == {"speed": 0.8}:
        assert (
            np.abs(texture(heard(wave, overlapping, **transformation)) - texture(heard(wave, overlapping))).max() > 0.05
        )


def coloured(seed: int, clips: int = 3, seconds: float = 4.0) -> Tensor:
    """Noise that falls by 6 dB per octave from 200 Hz on, with an offset."""
    white = np.random.default_rng(seed).standard_normal((clips, int(seconds * RATE)))
    return torch.from_numpy((0.05 + lfilter(*butter(1, 200 / (RATE / 2)), white)).astype(np.float32))


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0])
def test_noise_has_the_ratio_asked_for_in_every_part_of_the_spectrum(snr_db: float) -> None:
    waves = coloured(0)
    clean = waves - waves.mean(1, keepdim=True)
    noise = add_noise(waves, snr_db, generator(1)) - clean
    ratios = 10 * torch.log10(clean.square().mean(1) / noise.square().mean(1))
    torch.testing.assert_close(ratios, torch.full((3,), snr_db), rtol=0, atol=0.01)
    _, signal_power = welch(clean.numpy(), RATE, nperseg=64)  # bands of 250 Hz
    _, noise_power = welch(noise.numpy(), RATE, nperseg=64)
    bands = 10 * np.log10(signal_power / noise_power)[:, 2:-1]  # the first ones lie within the knee at 200 Hz
    np.testing.assert_allclose(bands, snr_db, atol=3.0)


def test_noise_is_new_each_time_and_comes_from_the_generator_alone() -> None:
    waves = coloured(0)
    first, again, other = (add_noise(waves, 5.0, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    difference = other - first
    assert 10 * torch.log10(difference.square().mean() / first.var()) > -6  # two unrelated noises of -5 dB


def test_silence_stays_silence() -> None:
    assert torch.equal(add_noise(torch.full((2, 500), 0.25), 5.0, generator(0)), torch.zeros(2, 500))


def test_one_class_for_each_amount_and_one_for_none() -> None:
    assert transformations([-1.0, 1.0], [0.5], [0.0]) == [
        Transformation(),
        Transformation(semitones=-1.0),
        Transformation(semitones=1.0),
        Transformation(speed=0.5),
        Transformation(snr_db=0.0),
    ]


@pytest.mark.parametrize(
    ("amounts", "says"),
    [
        (([], [], []), "all empty"),
        (([1.0, 1.0], [], []), "given twice"),
        (([0.0], [], []), "leaves the sound as it is"),
        (([], [1.0], []), "leaves the sound as it is"),
        (([], [2.0, -0.5], []), "speed is a factor above 0, not -0.5"),
    ],
)
def test_amounts_that_make_no_class(amounts: tuple[list[float], ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        transformations(*amounts)


def test_bands_that_the_shift_would_leave_empty_are_refused() -> None:
    with pytest.raises(ValueError, match=r"-2 semitones leave the bands above 7125 Hz empty; .* f_max_hz is 8000"):
        heard(tone(1000), PARAMS | {"f_max_hz": 8000.0}, semitones=-2.0)
