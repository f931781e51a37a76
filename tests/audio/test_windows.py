"""Windows of files of any length and rate: sample by sample those of the whole file."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import noise, write_clip

from asdcli.audio.decode import decode
from asdcli.audio.soundfiles import sound_files
from asdcli.audio.windows import windows
from asdcli.errors import UserError


@pytest.mark.parametrize(
    ("rate", "subtype", "channels"),
    [(16000, "PCM_16", 2), (44100, "PCM_16", 1), (48000, "PCM_24", 1), (11025, "FLOAT", 1), (8000, "PCM_16", 1)],
)
@pytest.mark.parametrize(("length", "hop"), [(32000, 32000), (32000, 7000), (16000, 40000)])
def test_windows_are_those_of_the_whole_file(
    tmp_path: Path, rate: int, subtype: str, channels: int, length: int, hop: int
) -> None:
    path = tmp_path / "long.wav"
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (int(13.37 * rate), channels))
    write_clip(path, samples, rate, subtype)
    whole = decode(path).samples
    found = list(windows(path, length, hop))
    assert [window.begin for window in found[:-1]] == list(range(0, len(whole) - length, hop))
    assert found[-1].begin == len(whole) - length
    for window in found:
        np.testing.assert_array_equal(window.samples, whole[window.begin : window.begin + length])


def test_a_file_of_one_window_or_less_comes_whole(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.flac", noise(9000))
    for length in (9000, 16000):
        (window,) = windows(tmp_path / "clip.flac", length, 100)
        np.testing.assert_array_equal(window.samples, decode(tmp_path / "clip.flac").samples)
    assert window.seconds == (0, 9000 / 16000)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = []
    for seconds in (30, 180):
        write_clip(tmp_path / "long.wav", noise(seconds * 22050), 22050)
        tracemalloc.start()
        assert sum(1 for _ in windows(tmp_path / "long.wav", 16000, 16000)) == seconds
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_what_is_wrong_is_said_where_it_is_met(tmp_path: Path) -> None:
    write_clip(tmp_path / "nan.wav", np.r_[noise(90000)[:, 0] / 32768, np.nan], subtype="FLOAT")
    found = windows(tmp_path / "nan.wav", 16000, 16000)
    assert next(found).begin == 0
    with pytest.raises(UserError, match="NaN"):
        list(found)
    (tmp_path / "no.wav").write_text("no sound")
    with pytest.raises(UserError, match="not a wav file"):
        list(windows(tmp_path / "no.wav", 16000, 16000))
    soundfile.write(tmp_path / "empty.wav", np.empty((0, 1)), 16000)
    with pytest.raises(UserError, match="no samples"):
        list(windows(tmp_path / "empty.wav", 16000, 16000))


def test_files_folders_and_patterns(tmp_path: Path) -> None:
    names = ["b/2.wav", "b/1.FLAC", "a.wav", "b/deep/3.wav", "c [1].wav"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "b" / "notes.txt").write_text("")

    def found(*places: str) -> list[str]:
        return [str(path.relative_to(tmp_path)) for path in sound_files([tmp_path / place for place in places])]

    assert found("a.wav", "b", "a.wav") == ["a.wav", "b/1.FLAC", "b/2.wav", "b/deep/3.wav"]
    assert found("*.wav") == ["a.wav", "c [1].wav"]
    assert found("c [1].wav", "?") == ["c [1].wav", "b/1.FLAC", "b/2.wav", "b/deep/3.wav"]
    assert found("**/3.wav") == ["b/deep/3.wav"]
    for nothing in ("d.wav", "*.ogg"):
        with pytest.raises(UserError, match="no sound file"):
            found(nothing)
