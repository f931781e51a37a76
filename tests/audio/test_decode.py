from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from helpers import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st

from asdcli.audio.decode import SAMPLING_RATE_HZ, decode, mix
from asdcli.errors import UserError

RATE = SAMPLING_RATE_HZ


def noise(n: int = 1600, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32768, 32768, (n, channels)).astype(np.int16)


def wav_bytes(
    data: bytes, data_size: int | None = None, riff_size: int | None = None, before: bytes = b"", after: bytes = b""
) -> bytes:
    """A mono 16-bit wav written by hand, so that its sizes may lie."""
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16) + before
    body = head + b"data" + struct.pack("<I", len(data) if data_size is None else data_size) + data + after
    return b"RIFF" + struct.pack("<I", len(body) if riff_size is None else riff_size) + body


def message(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        decode(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text.removeprefix(str(path)).strip()


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
def test_pcm16_passes_through_exactly(tmp_path: Path, channels: int, container: str) -> None:
    x = noise(channels=channels)
    sf.write(tmp_path / "x.wav", x, RATE, format=container, subtype="PCM_16")
    clip = decode(tmp_path / "x.wav")
    assert clip.samples.dtype == np.int16
    assert np.array_equal(clip.samples, x)
    assert (clip.rate_hz, clip.clipped) == (RATE, 0)


def test_big_endian_wav(tmp_path: Path) -> None:
    x = noise()
    sf.write(tmp_path / "x.wav", x, RATE, subtype="PCM_16", endian="BIG")
    assert np.array_equal(decode(tmp_path / "x.wav").samples, x)


@pytest.mark.parametrize("subtype", ["PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_other_subtypes_are_rounded(tmp_path: Path, subtype: str) -> None:
    x = noise() / 32768
    steps = np.random.default_rng(1).uniform(-0.49, 0.49, x.shape)  # stays on the same side of the rounding
    sf.write(tmp_path / "x.wav", np.clip(x + steps / 32768, -1, 32767 / 32768), RATE, subtype=subtype)
    assert np.array_equal(decode(tmp_path / "x.wav").samples, np.rint(x * 32768).astype(np.int16))


def test_unsigned_8_bit(tmp_path: Path) -> None:
    x = (np.arange(-128, 128) * 256).astype(np.int16)[:, None]
    sf.write(tmp_path / "x.wav", x, RATE, subtype="PCM_U8")
    assert np.array_equal(decode(tmp_path / "x.wav").samples, x)


def test_float_beyond_full_scale_is_clipped_and_counted(tmp_path: Path) -> None:
    sf.write(tmp_path / "x.wav", np.array([0.0, 1.0, -1.0, 1.5, -7.0]), RATE, subtype="FLOAT")
    clip = decode(tmp_path / "x.wav")
    assert clip.samples[:, 0].tolist() == [0, 32767, -32768, 32767, -32768]
    assert clip.clipped == 2


@pytest.mark.parametrize(("rate", "subtype"), [(44100, "PCM_16"), (48000, "FLOAT"), (8000, "PCM_24")])
def test_other_rates_are_resampled(tmp_path: Path, rate: int, subtype: str) -> None:
    def tone(rate: int) -> np.ndarray:
        return 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)

    sf.write(tmp_path / "x.wav", np.stack([tone(rate), -tone(rate)], axis=1), rate, subtype=subtype)
    clip = decode(tmp_path / "x.wav")
    assert clip.rate_hz == rate
    assert clip.samples.shape == (RATE, 2)
    middle = slice(1000, -1000)  # the filter rings at both ends
    assert np.abs(clip.samples[middle, 0] / 32768 - tone(RATE)[middle]).max() < 2e-3
    assert np.abs(clip.samples.sum(axis=1)).max() <= 2


def test_extra_and_odd_chunks(tmp_path: Path) -> None:
    x = noise()
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    (tmp_path / "x.wav").write_bytes(wav_bytes(x.tobytes(), before=odd, after=odd))
    assert np.array_equal(decode(tmp_path / "x.wav").samples, x)


@pytest.mark.parametrize(
    ("data_size", "riff_size"),
    [(0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFF000, 0x7FFFF024), (0, 0), (0, 8), (0, 36), (0, 0xFFFFFFFF), (0xFFFFFFFF, 0)],
)
def test_streamed_wav_with_open_size(tmp_path: Path, data_size: int, riff_size: int) -> None:
    x = noise()
    (tmp_path / "x.wav").write_bytes(wav_bytes(x.tobytes(), data_size, riff_size))
    assert np.array_equal(decode(tmp_path / "x.wav").samples, x)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
def test_truncated(tmp_path: Path, subtype: str, container: str) -> None:
    path = tmp_path / "x.wav"
    sf.write(path, noise(), RATE, format=container, subtype=subtype)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    size = 1600 * (2 if subtype == "PCM_16" else 4)
    assert f"is truncated: {size - 1} of its {size} bytes" in message(path)
    for length in (13, 30, len(whole) - size - 4):
        path.write_bytes(whole[:length])
        assert "is truncated: it ends before its samples begin." in message(path)


def test_truncated_trailing_chunk_is_harmless(tmp_path: Path) -> None:
    x = noise()
    (tmp_path / "x.wav").write_bytes(wav_bytes(x.tobytes(), after=b"LIST" + struct.pack("<I", 400) + b"abc"))
    assert np.array_equal(decode(tmp_path / "x.wav").samples, x)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty (0 bytes)."),
        (b"file_name,d1p,d1v\n", "is not a wav file: it begins with b'file_name,d1'."),
        (b"RI", "is not a wav file: it begins with b'RI'."),
        (wav_bytes(b""), "holds no samples."),
        (wav_bytes(noise().tobytes()).replace(struct.pack("<HH", 1, 1), struct.pack("<HH", 0x55, 1), 1), "cannot be d"),
    ],
    ids=["empty", "text", "two bytes", "no samples", "mp3 in wav"],
)
def test_bad_files(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    assert message(path).startswith(expected)


@pytest.mark.parametrize("rate", [1, 2_000_000_000])
def test_impossible_rates(tmp_path: Path, rate: int) -> None:
    wav = wav_bytes(noise().tobytes())
    (tmp_path / "x.wav").write_bytes(wav.replace(struct.pack("<I", RATE), struct.pack("<I", rate), 1))
    assert message(tmp_path / "x.wav") == f"says that its sampling rate is {rate} Hz, which cannot be."


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4), st.integers(0, 300))
def test_any_damage_is_a_clip_or_one_sentence(changes: list[tuple[int, int]], length: int) -> None:
    content = bytearray(wav_bytes(noise(100).tobytes(), before=b"LIST" + struct.pack("<I", 3) + b"abc\0"))
    for position, value in changes:
        content[position] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.wav"
        path.write_bytes(content[:length] if length < len(content) else content)
        try:
            said = f"{path}: {len(decode(path).samples)} samples"
        except UserError as error:
            said = str(error)
    assert said.startswith(str(path))
    assert not said.endswith(": 0 samples")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(tmp_path: Path, value: float) -> None:
    x = np.zeros((100, 2))
    x[3:5, 1] = value
    sf.write(tmp_path / "x.wav", x, RATE, subtype="FLOAT")
    assert message(tmp_path / "x.wav") == "holds 2 samples that are NaN or infinite."


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert message(tmp_path / "x.wav") == "cannot be read: no such file or directory."
    (tmp_path / "y.wav").mkdir()
    assert message(tmp_path / "y.wav") == "cannot be read: is a directory."


def test_no_permission(tmp_path: Path) -> None:
    sf.write(tmp_path / "x.wav", noise(), RATE)
    (tmp_path / "x.wav").chmod(0)
    tmp_path.chmod(0o755)
    code = (
        "import os; from asdcli.audio.decode import decode; os.geteuid() or os.seteuid(65534)\n"  # root may read all
        "try: decode('x.wav')\n"
        "except Exception as error: print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "x.wav cannot be read: permission denied.\n", done.stderr


def test_mix() -> None:
    x = np.array([[1, 3], [-32768, 32767]], dtype=np.int16)
    assert mix(x, 0).tolist() == [1, -32768]
    assert mix(x, 1).tolist() == [3, 32767]
    assert mix(x, "mean").tolist() == [2, -0.5]
    assert mix(x, "difference").tolist() == [-2, -65535]
    assert mix(np.stack([x, x]), "mean").shape == (2, 2)
    assert all(mix(x, channel).dtype == np.float32 for channel in (0, 1, "mean", "difference"))


@pytest.mark.parametrize(
    ("channels", "channel", "possible"),
    [
        (1, "difference", "0, mean"),
        (2, 2, "0, 1, mean, difference"),
        (2, -1, "0, 1, mean, difference"),
        (1, "left", "0, mean"),
    ],
)
def test_impossible_channel(channels: int, channel: int | str, possible: str) -> None:
    with pytest.raises(UserError) as caught:
        mix(noise(10, channels), channel)
    assert f"Channel {channel!r} is not possible" in str(caught.value)
    assert caught.value.hint == f"Possible: {possible}."


@pytest.mark.real
def test_real_clips(real_dir: Path) -> None:
    for path in (real_dir / "multichannel").glob("*.wav"):
        clip = decode(path)
        assert clip.samples.shape == (sf.info(path).frames, 8)
        assert np.array_equal(clip.samples, sf.read(path, dtype="int16")[0])
