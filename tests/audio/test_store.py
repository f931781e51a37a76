"""An open store gives the samples that were packed, and knows when they are not those any more."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import fan_clips, noise, write_fan

from asdcli.audio.packing import build_store
from asdcli.audio.store import StaleStoreError, Store
from asdcli.errors import UserError


def test_fingerprint_of_some_clips(raw: Path, out: Path) -> None:
    store = build_store(raw, fan_clips(raw), out)
    first = store.fingerprint_of(np.arange(3))
    assert first != store.fingerprint_of(np.arange(4))
    write_fan(raw, "5.wav", noise(1600, seed=99))
    again = build_store(raw, fan_clips(raw), out)
    assert again.fingerprint != store.fingerprint
    assert again.fingerprint_of(np.arange(3)) == first


def test_open_names_the_next_command(out: Path) -> None:
    with pytest.raises(StaleStoreError, match="There is no store in") as caught:
        Store.open(out)
    assert caught.value.hint == "Run: asd features"


def test_a_copied_store_opens(raw: Path, out: Path, tmp_path: Path) -> None:
    first = build_store(raw, fan_clips(raw), out)
    shutil.copytree(out, tmp_path / "copy", copy_function=shutil.copyfile)
    assert Store.open(tmp_path / "copy").fingerprint == first.fingerprint


def test_batches_of_equal_length(raw: Path, out: Path) -> None:
    write_fan(raw, "6.wav", noise(9000))
    store = build_store(raw, fan_clips(raw), out)
    batches = list(store.batches(0, max_samples=3300))
    assert [indices.tolist() for indices, _ in batches] == [[0, 2, 4], [1, 3], [5], [6]]
    some = [indices.tolist() for indices, _ in store.batches(0, 3300, which=np.array([0, 3, 4]))]
    assert some == [[0, 4], [3]]
    for indices, waveforms in batches:
        assert waveforms.dtype == np.float32
        for i, waveform in zip(indices, waveforms, strict=True):
            assert np.array_equal(waveform, store.waveform(i, 0))


def test_stereo(tmp_path: Path, out: Path) -> None:
    x = noise(500, channels=2)
    write_fan(tmp_path, "0.wav", x)
    store = build_store(tmp_path, fan_clips(tmp_path), out)
    assert store.clip(0).shape == (500, 2)
    assert np.array_equal(store.waveform(0, 1), x[:, 1] / np.float32(32768))
    assert np.allclose(store.waveform(0, "mean"), x.mean(axis=1) / 32768)
    assert np.allclose(store.waveform(0, "difference"), (x[:, 0].astype(float) - x[:, 1]) / 32768)
    with pytest.raises(UserError, match="Channel 2 is not possible for clips with 2 channels"):
        store.waveform(0, 2)
