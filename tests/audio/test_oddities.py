"""What is odd about clips is named: in one sentence a machine, with the first clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import fan_clips, noise, write_fan

from asdcli.audio.clips import ClipTable
from asdcli.audio.oddities import Measures, measure, odd_clips
from asdcli.audio.packing import build_store

ODD = {
    "is silent": np.zeros(1600),
    "is one value throughout": np.full(1600, 0.25),
    "is clipped": (3 * np.sin(np.arange(1600) / 20)).clip(-1, 1),
    "is at least 20 dB quieter than most": noise(1600, seed=30)[:, 0] / 32768 / 50,
    "is less than half as long as most": noise(700, seed=31)[:, 0] / 32768,
    "is more than twice as long as most": noise(3300, seed=32)[:, 0] / 32768,
}


def write_usual(raw: Path) -> None:
    for i in range(8):
        write_fan(raw, f"{i}.wav", noise(1600, seed=i) // 3)


@pytest.mark.parametrize("words", ODD)
def test_an_odd_clip_is_named(words: str, tmp_path: Path) -> None:
    write_usual(tmp_path)
    write_fan(tmp_path, "odd.wav", ODD[words])
    store = build_store(tmp_path, fan_clips(tmp_path), tmp_path / "store")
    assert store.notices == (f"1 clip of fan {words}: fan/train/odd.wav.",)


def test_loud_clips_and_those_beyond_full_scale(tmp_path: Path) -> None:
    write_usual(tmp_path)
    for i in range(3):
        write_fan(tmp_path, f"odd{i}.wav", noise(1600, seed=40 + i) * 1.0, subtype="FLOAT")
    store = build_store(tmp_path, fan_clips(tmp_path), tmp_path / "store")
    beyond, loud = store.notices
    assert beyond.startswith("3 clips of fan go beyond full scale, up to 327")
    assert beyond.endswith("and are kept so: fan/train/odd0.wav, fan/train/odd1.wav and 1 more.")
    assert loud.startswith("3 clips of fan are at least 20 dB louder than most: ")
    assert np.array_equal(store.waveform(8), noise(1600, seed=40)[:, 0].astype(np.float32))


def test_usual_clips_are_not_odd(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(20):  # lengths and levels that differ widely anyway
        write_fan(
            tmp_path, f"{i}.wav", rng.standard_normal(int(1000 * 2 ** rng.uniform(0, 4))) * 10 ** rng.uniform(-2, -0.8)
        )
    assert build_store(tmp_path, fan_clips(tmp_path), tmp_path / "store").notices == ()


def test_a_silent_channel(tmp_path: Path) -> None:
    for i in range(5):
        x = noise(1600, channels=3, seed=i)
        x[:, 1] *= int(i != 2)
        write_fan(tmp_path, f"{i}.wav", x)
    store = build_store(tmp_path, fan_clips(tmp_path), tmp_path / "store")
    assert store.notices == ("1 clip of fan has a silent channel: fan/train/2.wav.",)


def test_the_same_samples_under_both_labels_and_in_train_and_test(tmp_path: Path) -> None:
    seeds = [0, 1, 2, 3, 0, 1, 4, 4]
    for i, seed in enumerate(seeds):
        write_fan(tmp_path, f"{i}.wav", noise(1600, seed=seed))
    columns = fan_clips(tmp_path).columns()
    columns["split"] = ["train"] * 4 + ["test"] * 4
    columns["label"] = [0, 0, 0, 0, 1, 0, 0, 1]
    store = build_store(tmp_path, ClipTable.from_columns(columns), tmp_path / "store")
    assert store.notices == (
        "4 clips of fan have the same samples under both labels: fan/train/0.wav, fan/train/4.wav and 2 more.",
        "2 clips of fan have the samples of a training clip each: fan/train/4.wav, fan/train/5.wav.",
    )


def test_silent_clips_are_not_copies_of_each_other(tmp_path: Path) -> None:
    write_usual(tmp_path)
    columns = fan_clips(tmp_path).columns()
    for row in (0, 1):
        write_fan(tmp_path, f"{row}.wav", np.zeros(1600))
    columns["split"][1] = "test"
    store = build_store(tmp_path, ClipTable.from_columns(columns), tmp_path / "store")
    assert store.notices == ("2 clips of fan are silent: fan/train/0.wav, fan/train/1.wav.",)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_measures(dtype: type) -> None:
    x = np.array([[0, 4], [-16384, 8]], np.int16)
    row = measure(x if dtype is np.int16 else (x / 32768).astype(np.float32), 44100)
    measures = Measures.of([row])
    assert (measures.rate_hz[0], measures.frames[0], measures.peak[0]) == (44100, 2, 0.5)
    assert measures.quietest[0] == 8 / 32768
    assert measures.fine[0] == (dtype is np.float32)
    assert measures.rms[0] == pytest.approx(np.sqrt(np.square(x / 32768).mean()))
    assert Measures.of(measures.rows()).rows() == measures.rows()
    columns = {key: ["a"] for key in ClipTable.__dataclass_fields__} | {"label": [0]}
    assert list(odd_clips(ClipTable.from_columns(columns), measures, np.array(["x"]))) == []
