"""Transformations of normal sound that a network learns to tell apart: another pitch, another speed, added noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from asdcli.audio.frontends.logmel import LogMel

COLOUR_LAGS = 32  # of the autocorrelation: the noise follows the sound's colour to about 500 Hz at 16 kHz


@dataclass(frozen=True)
class Transformation:
    """What is done to a piece of sound; the defaults leave it as it is.

    semitones: all frequencies times 2^(semitones / 12), at the same speed.
    speed: played so many times as fast, at the same pitch.
    snr_db: power of the sound over the power of the noise added to it, dB.
    """

    semitones: float = 0.0
    speed: float = 1.0
    snr_db: float | None = None


def transformations(
    pitch_semitones: Sequence[float], speed: Sequence[float], noise_snr_db: Sequence[float]
) -> list[Transformation]:
    """Sound as it is, then one transformation for each amount. Raises ValueError for amounts that make no class."""
    if not all(factor > 0 for factor in speed):
        raise ValueError(f"speed is a factor above 0, not {min(speed)}")
    classes = [
        Transformation(),
        *(Transformation(semitones=amount) for amount in pitch_semitones),
        *(Transformation(speed=factor) for factor in speed),
        *(Transformation(snr_db=amount) for amount in noise_snr_db),
    ]
    if len(classes) == 1:
        raise ValueError("pitch_semitones, speed and noise_snr_db are all empty: there is nothing to tell apart")
    if len(set(classes)) < len(classes):
        raise ValueError("an amount is given twice, or leaves the sound as it is (0 semitones, speed 1)")
    return classes


def transformed_frontend(params: Mapping[str, Any], transformation: Transformation) -> LogMel:
    """The log-mel front end with these parameters, of sound at another pitch and speed.

    Time stretching by a factor is a longer or shorter hop through the same sound. Shifting pitch by a ratio r is a
    window r times as long whose bins are called r times higher. So no spectrum is interpolated, the mel bands are made
    of the same bins whatever the pitch, and every transformation is heard through the same number of operations. The
    ratio is rounded to what an even number of samples allows (at n_fft 1024 by less than 2 cents).

    Raises ValueError where the highest bands would lie above half the sampling rate, empty.
    """
    n_fft, hop, rate = params["n_fft"], params["hop_length"], params["sample_rate_hz"]
    window = 2 * round(n_fft * 2 ** (transformation.semitones / 12) / 2)
    highest = rate / 2 * window / n_fft
    if params["f_max_hz"] > highest:
        raise ValueError(
            f"{transformation.semitones:+g} semitones leave the bands above {highest:.0f} Hz empty; "
            f"the front end's f_max_hz is {params['f_max_hz']:g}"
        )
    changed = {"n_fft": window, "hop_length": round(hop * transformation.speed)}
    return LogMel(**{**params, **changed, "sample_rate_hz": math.ceil(rate * window / n_fft)})


def add_noise(waves: Tensor, snr_db: float, generator: torch.Generator) -> Tensor:
    """`[batch, samples]` with noise of their own colour at a signal-to-noise ratio in dB.

    White noise would be told from any machine by the tilt of its spectrum. This noise has the spectrum of the sound it
    is added to, smoothed over about 500 Hz (Blackman and Tukey's estimate), so the ratio holds in every part of the
    spectrum and only lines, rhythms and knocks grow less clear.
    """
    waves = waves - waves.mean(1, keepdim=True)
    length, lags = waves.shape[1], min(COLOUR_LAGS, waves.shape[1] // 2)
    correlation = torch.fft.irfft(torch.fft.rfft(waves).abs().square(), n=length)
    taper = torch.blackman_window(2 * lags, device=waves.device)
    correlation[:, :lags] *= taper[lags:]
    correlation[:, lags : length - lags] = 0
    correlation[:, length - lags :] *= taper[:lags]
    amplitudes = torch.fft.rfft(correlation).real.clamp(min=0).sqrt()
    white = torch.randn(waves.shape, generator=generator).to(waves.device)
    noise = torch.fft.irfft(torch.fft.rfft(white) * amplitudes, n=length)
    power = noise.square().mean(1, keepdim=True).clamp(min=torch.finfo(noise.dtype).tiny)
    ratio = waves.square().mean(1, keepdim=True) / power
    return waves + noise * (ratio * 10 ** (-snr_db / 10)).sqrt()
