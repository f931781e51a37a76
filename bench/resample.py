"""Resampling a 10-second clip to 16 kHz: scipy's polyphase filter, which `asd` takes, against torchaudio's.

What is left of a tone that lies above the new band is the alias; the error of a tone within it is the ripple.

OMP_NUM_THREADS=1 python bench/resample.py
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.signal import resample_poly
from torchaudio.functional import resample

TARGET_HZ, SECONDS = 16_000, 10
Resampler = Callable[[np.ndarray, int], np.ndarray]
BEST = {  # torchaudio's own example of a filter of high quality
    "lowpass_filter_width": 64,
    "rolloff": 0.9475937167399596,
    "resampling_method": "sinc_interp_kaiser",
    "beta": 14.769656459379492,
}


def scipy(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    shared = math.gcd(rate_hz, TARGET_HZ)
    return resample_poly(samples, TARGET_HZ // shared, rate_hz // shared)


def torchaudio(**options: object) -> Resampler:
    return lambda samples, rate_hz: resample(torch.from_numpy(samples), rate_hz, TARGET_HZ, **options).numpy()


def decibel(values: np.ndarray) -> float:
    return 20 * math.log10(np.abs(values[2000:-2000]).max() + 1e-12)


def main() -> None:
    ways = {"scipy resample_poly": scipy, "torchaudio": torchaudio(), "torchaudio, Kaiser": torchaudio(**BEST)}
    for rate_hz in (44_100, 48_000, 96_000):
        time_s = np.arange(rate_hz * SECONDS) / rate_hz
        for name, way in ways.items():
            seconds = min(timed(way, np.sin(time_s), rate_hz) for _ in range(3))
            alias = decibel(way(np.sin(2 * np.pi * 9000 * time_s), rate_hz))
            kept = way(np.sin(2 * np.pi * 5000 * time_s), rate_hz)
            ripple = decibel(kept - np.sin(2 * np.pi * 5000 * np.arange(len(kept)) / TARGET_HZ))
            took = f"{1e3 * seconds:7.1f} ms"
            print(f"{rate_hz:6} Hz  {name:20} {took}  alias of 9 kHz {alias:6.1f} dB, ripple {ripple:6.1f} dB")


def timed(way: Resampler, samples: np.ndarray, rate_hz: int) -> float:
    began = time.perf_counter()
    way(samples, rate_hz)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
