"""Front ends against golden numbers of the reference code, and the promises that all of them make."""

from __future__ import annotations

import inspect
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from helpers import DATA
from hypothesis import given, settings
from hypothesis import strategies as st

from asdcli.audio.frontends import FRONTENDS
from asdcli.audio.frontends.pieces import mean_std, min_max
from asdcli.audio.frontends.spectrum import dft_filters

BEATS: dict[str, Any] = {"norm_mean": 15.41663, "norm_std": 6.55582}
EAT_RAW: dict[str, Any] = {"window": "hanning", "int16_scale": False, "subtract_mean": True}
EAT = EAT_RAW | {"norm_mean": -4.268, "norm_std": 4.569}

# golden key, front end, settings, largest deviation (in the unit of the feature) relative to the largest value
GOLDEN: list[tuple[str, str, dict[str, Any], float]] = [
    ("stft2046_mag", "stft", {"n_fft": 2046}, 1e-6),
    ("stft2048_mag", "stft", {}, 1e-6),
    ("mel1024_power_librosa", "logmel", {"log": False}, 2e-6),
    ("logmel_dcase_baseline", "logmel", {}, 1e-5),
    ("logmel_zenn", "logmel", {"scale_db": 20.0, "floor": 1e-10}, 1e-5),
    ("logmel_epfl_meansub", "logmel", {"subtract_mean": True}, 1e-5),
    ("fbank_beats_raw", "kaldi_fbank", {}, 5e-5),
    ("fbank_beats_norm", "kaldi_fbank", BEATS, 5e-5),
    ("fbank_eat_raw", "kaldi_fbank", EAT_RAW, 2e-4),
    ("fbank_eat_norm", "kaldi_fbank", EAT, 2e-4),
]

EVERY_FRONTEND = pytest.mark.parametrize("name", list(FRONTENDS))


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(DATA / "frontends.npz") as arrays:
        return dict(arrays)


def compute(name: str, waveform: np.ndarray, **keys: Any) -> np.ndarray:
    with torch.inference_mode():
        return FRONTENDS[name](**keys)(torch.from_numpy(waveform)[None])[0].numpy()


def noise(n_samples: int, n_clips: int = 1, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(n_clips, n_samples, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("key", "name", "keys", "tolerance"), GOLDEN, ids=[row[0] for row in GOLDEN])
def test_golden(golden: dict[str, np.ndarray], key: str, name: str, keys: dict[str, Any], tolerance: float) -> None:
    features = compute(name, golden["waveform"], **keys)
    expected = golden[key].T if name == "kaldi_fbank" else golden[key]  # Kaldi's layout is [T, F]
    assert features.shape == expected.shape
    assert features.dtype == np.float32
    assert np.abs(features - expected).max() <= tolerance * np.abs(expected).max()


def test_golden_htk_mel_of_torchaudio(golden: dict[str, np.ndarray]) -> None:
    """torchaudio's `normalized=True` divides by the window's norm, a constant that this front end leaves out."""
    keys = {"power": 1.0, "mel_scale": "htk", "mel_norm": "none", "pad_mode": "reflect", "subtract_mean": True}
    features = compute("logmel", golden["waveform"], log=False, **keys)
    expected = golden["mel_torchaudio_dgmix_power1_normalized"] * float(torch.hann_window(1024).norm())
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-3)


def test_golden_pieces(golden: dict[str, np.ndarray]) -> None:
    for key, source, normalise in (
        ("mobileanonet_minmax_first32", "stft2048_mag", min_max),
        ("pfu_meanstd_first32", "stft2046_mag", mean_std),
    ):
        pieces = torch.from_numpy(golden[source])[None, :, :32]
        np.testing.assert_allclose(normalise(pieces)[0], golden[key], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("normalise", [min_max, mean_std])
def test_pieces_of_silence_stay_finite(normalise: Any) -> None:
    assert torch.equal(normalise(torch.full((2, 4, 5), 3.0)), torch.zeros(2, 4, 5))


@EVERY_FRONTEND
def test_batch_equals_single(name: str) -> None:
    frontend, waveform = FRONTENDS[name](), noise(8000, n_clips=3)
    batch = frontend(waveform)
    single = torch.cat([frontend(clip[None]) for clip in waveform])
    assert batch.shape == (3, frontend.n_features, frontend.frames(8000))
    torch.testing.assert_close(batch, single, rtol=1e-4, atol=1e-4)


@EVERY_FRONTEND
def test_single_precision_is_enough(name: str) -> None:
    waveform = noise(8000)
    single = FRONTENDS[name]()(waveform)
    double = FRONTENDS[name]().double()(waveform.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=2e-3)


@EVERY_FRONTEND
@given(n_samples=st.integers(2048, 9000))
@settings(max_examples=30, deadline=None)
def test_frames_tells_the_length(name: str, n_samples: int) -> None:
    frontend = FRONTENDS[name]()
    assert frontend(noise(n_samples)).shape[-1] == frontend.frames(n_samples)


@pytest.mark.parametrize("name", [name for name in FRONTENDS if name != "waveform"])  # which has no window
def test_a_clip_shorter_than_a_window_is_refused(name: str) -> None:
    frontend = FRONTENDS[name]()
    with pytest.raises(ValueError, match="fewer than"):
        frontend(noise(300))
    with pytest.raises(ValueError, match="fewer than"):
        frontend.frames(300)


@EVERY_FRONTEND
def test_silence_is_finite(name: str) -> None:
    assert FRONTENDS[name](**({"log": True} if name == "stft" else {}))(torch.zeros(1, 4000)).isfinite().all()


@EVERY_FRONTEND
def test_constructor_is_a_schema(name: str) -> None:
    hints = get_type_hints(FRONTENDS[name].__init__)
    settable = [] if name == "waveform" else inspect.signature(FRONTENDS[name]).parameters.values()
    for parameter in settable:
        kind = hints[parameter.name]
        assert parameter.kind is parameter.KEYWORD_ONLY
        if get_origin(kind) is Literal:
            assert parameter.default in get_args(kind)
        else:
            assert kind in (int, float, str, bool)
            assert type(parameter.default) is kind
        assert f"{parameter.name}: " in (FRONTENDS[name].__doc__ or "")


@EVERY_FRONTEND
def test_nothing_of_it_is_in_a_checkpoint(name: str) -> None:
    assert not FRONTENDS[name]().state_dict()


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        ("logmel", {"hop_length": 0}, "hop_length"),
        ("logmel", {"n_fft": 1023}, "n_fft"),
        ("logmel", {"f_max_hz": 9000.0}, "half the sampling rate"),
        ("logmel", {"f_min_hz": 4000.0, "f_max_hz": 4000.0}, "band"),
        ("logmel", {"n_mels": 0}, "n_mels"),
        ("logmel", {"floor": 0.0}, "floor"),
        ("stft", {"hop_length": -1}, "hop_length"),
        ("stft", {"n_fft": 0}, "n_fft"),
        ("stft", {"power": float("nan")}, "power"),
        ("kaldi_fbank", {"frame_shift_ms": 0.0}, "frame_shift_ms"),
        ("kaldi_fbank", {"frame_length_ms": 0.0}, "frame_length_ms"),
        ("kaldi_fbank", {"preemphasis": 1.5}, "preemphasis"),
        ("kaldi_fbank", {"target_frames": -1}, "target_frames"),
        ("kaldi_fbank", {"norm_std": 0.0}, "norm_std"),
        ("kaldi_fbank", {"f_max_hz": 8001.0}, "half the sampling rate"),
    ],
)
def test_impossible_settings_are_refused(name: str, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FRONTENDS[name](**keys)


def test_fbank_pads_before_it_normalises() -> None:
    """EAT's padding is a zero of the unnormalised features: (0 + 4.268) / (2 x 4.569)."""
    waveform = noise(8000)
    padded = FRONTENDS["kaldi_fbank"](target_frames=64, **EAT)(waveform)
    plain = FRONTENDS["kaldi_fbank"](**EAT)(waveform)
    assert padded.shape == (1, 128, 64)
    assert torch.equal(padded[..., : plain.shape[-1]], plain)
    assert torch.allclose(padded[..., plain.shape[-1] :], torch.tensor(4.268 / 9.138))
    cut = FRONTENDS["kaldi_fbank"](target_frames=10, **EAT)(waveform)
    assert torch.equal(cut, plain[..., :10])


def test_energy_can_be_floored_in_two_ways() -> None:
    keys: dict[str, Any] = {"floor": 1e-3}
    energy = FRONTENDS["logmel"](log=False)(noise(4000))
    added = FRONTENDS["logmel"](floor_mode="add", **keys)(noise(4000))
    floored = FRONTENDS["logmel"](floor_mode="max", **keys)(noise(4000))
    torch.testing.assert_close(added, 10 * (energy + 1e-3).log10())
    torch.testing.assert_close(floored, 10 * energy.clamp(min=1e-3).log10())


@EVERY_FRONTEND
def test_autocast_does_not_reach_the_features(name: str) -> None:
    frontend, waveform = FRONTENDS[name](), noise(4000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = frontend(waveform)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, frontend(waveform))


@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
@pytest.mark.parametrize("settings", [{}, {"power": 1.5}])
@pytest.mark.parametrize("name", ["logmel", "stft"])
def test_filters_in_place_of_the_window_make_the_same_spectrum(
    name: str, settings: dict[str, Any], pad_mode: str
) -> None:
    """As exporters want it."""
    frontend = FRONTENDS[name](n_fft=512, hop_length=200, pad_mode=pad_mode, **settings)
    wave = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 4000)).astype(np.float32))
    expected = frontend(wave)
    frontend.window = dft_filters(frontend.window)
    found = frontend(wave)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
