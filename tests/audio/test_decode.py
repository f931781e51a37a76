from __future__ import annotations

import io
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

from asdcli.audio.channels import mix
from asdcli.audio.decode import SAMPLING_RATE_HZ, decode
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
    assert clip.rate_hz == RATE


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


def test_float_beyond_full_scale_is_kept(tmp_path: Path) -> None:
    x = np.array([0.0, 1.0, -1.0, 1.5, -7.0], np.float32)
    sf.write(tmp_path / "x.wav", x, RATE, subtype="FLOAT")
    clip = decode(tmp_path / "x.wav")
    assert clip.samples.dtype == np.float32
    assert np.array_equal(clip.samples[:, 0], x)


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


# --- containers whose sizes lie -------------------------------------------------------------------------------------

TONE = (3000 * np.sin(np.arange(1600) / 7)).astype(np.int16)
DATA = TONE.tobytes()
FMT = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
ODD = b"INFOISFT\5\0\0\0Rec1\0"
ALL = 0xFFFFFFFF


def chunk(name: bytes, content: bytes, size: int | None = None, pad: bool = True) -> bytes:
    head = name + struct.pack("<I", len(content) if size is None else size)
    return head + content + b"\0" * (len(content) % 2 * pad)


def riff(body: bytes, size: int | None = None, magic: bytes = b"RIFF") -> bytes:
    return magic + struct.pack("<I", len(body) + 4 if size is None else size) + b"WAVE" + body


def large(magic: bytes, data: int, whole: int | None = None) -> bytes:
    """RF64 or BW64, whose sizes of 64 bits stand in a chunk of their own."""
    samples = chunk(b"data", DATA, ALL)
    total = 4 + 36 + len(FMT) + len(samples) if whole is None else whole
    return riff(chunk(b"ds64", struct.pack("<QQQI", total, data, 1600, 0)) + FMT + samples, ALL, magic)


def wave64(data: int | None = None, whole: int | None = None) -> bytes:
    buffer = io.BytesIO()
    sf.write(buffer, TONE, RATE, format="W64", subtype="PCM_16")
    content = bytearray(buffer.getvalue())
    at = content.index(b"data") + 16
    content[at : at + 8] = struct.pack("<q", 3200 + 24 if data is None else data)
    content[16:24] = struct.pack("<Q", len(content) if whole is None else whole)
    return bytes(content)


LIST = chunk(b"LIST", ODD)
UNPADDED = chunk(b"LIST", ODD, pad=False)
RIGHT = {
    "odd chunk without padding before": riff(FMT + UNPADDED + chunk(b"data", DATA)),
    "odd chunk without padding behind": riff(FMT + chunk(b"data", DATA) + UNPADDED),
    "two of them": riff(FMT + UNPADDED + UNPADDED + chunk(b"data", DATA) + LIST),
    "wrapped": riff(FMT + chunk(b"data", DATA, 800)),
    "wrapped, and a chunk behind": riff(FMT + chunk(b"data", DATA, 800) + LIST),
    "a byte too small": riff(FMT + chunk(b"data", DATA, 3199)),
    "a byte too small, and a chunk behind": riff(FMT + chunk(b"data", DATA, 3199) + LIST),
    "too large by its own header": riff(FMT + chunk(b"data", DATA, 3244)),
    "far too large in a closed file": riff(FMT + chunk(b"data", DATA, 90_000) + LIST),
    "a chunk behind a streamed file": riff(FMT + chunk(b"data", DATA, ALL) + LIST, ALL),
    "outermost size too small": riff(FMT + chunk(b"data", DATA), 8),
    "a tag of a player behind": riff(FMT + chunk(b"data", DATA)) + b"TAG" + b"x" * 125,
    "zeros behind": riff(FMT + chunk(b"data", DATA)) + bytes(4096),
    **{
        f"streamed, {size} in {whole}": riff(FMT + chunk(b"data", DATA, size), whole)
        for size in (0, 2_000_000_000, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, ALL)
        for whole in (0, (36 + size) % 2**32, ALL)
    },
    **{
        f"{magic.decode()}, {case}": large(magic, *sizes)
        for magic in (b"RF64", b"BW64")
        for case, sizes in {
            "right": (3200,),
            "never closed": (0, 0),
            "streamed": (2**64 - 1, 2**64 - 1),
            "too small": (800,),
            "too large": (9000,),
        }.items()
    },
    "BW64, short sizes": riff(FMT + chunk(b"data", DATA), magic=b"BW64"),
    "W64": wave64(),
    "W64, never closed": wave64(0, 0),
    "W64, nothing yet": wave64(24, 104),
    "W64, streamed": wave64(-1, 2**64 - 1),
    "W64, large streamed": wave64(2**63 - 1, 2**63 - 1),
    "W64, too small": wave64(824),
    "W64, too large": wave64(9024),
    "W64, a byte too small": wave64(3223),
}


@pytest.mark.parametrize("case", RIGHT)
def test_the_one_right_reading_of_wrong_sizes(tmp_path: Path, case: str) -> None:
    (tmp_path / "x.wav").write_bytes(RIGHT[case])
    assert np.array_equal(decode(tmp_path / "x.wav").samples[:, 0], TONE)


REFUSED = {
    "both sizes too small": (riff(FMT + chunk(b"data", DATA, 800), 836), "declares 800 bytes of samples, and 2400 byt"),
    "too small in a streamed file": (riff(FMT + chunk(b"data", DATA, 800), ALL), "declares 800 bytes of samples"),
    "too small in W64": (wave64(824, 904), "declares 800 bytes of samples, and 2400 bytes that are no chunk follow"),
    "two recordings": (riff(FMT + chunk(b"data", DATA)) * 2, "declares 3200 bytes of samples, and 3244 bytes"),
    "two chunks of samples": (riff(FMT + chunk(b"data", DATA) + chunk(b"data", DATA)), "in more than one chunk"),
    "no samples": (riff(FMT + LIST), "holds no samples: none of its chunks is called `data`."),
    "no form": (riff(LIST + chunk(b"data", DATA)), "does not say before its samples what form they have"),
    "a broken chunk": (riff(FMT + chunk(b"LIST", ODD, 10**6) + chunk(b"data", DATA)), "chunk LIST that claims 1000000"),
    "never closed and more declared": (
        riff(FMT + chunk(b"data", DATA, 9000), 0),
        "was never closed, or is cut: 3200 of",
    ),
    "truncated": (riff(FMT + chunk(b"data", DATA))[:-1], "is truncated: 3199 of its 3200 bytes"),
    "RF64 truncated": (large(b"RF64", 3200)[:-10], "is truncated: 3190 of its 3200"),
    "BW64 truncated": (large(b"BW64", 3200)[:-10], "is truncated: 3190 of its 3200"),
    "W64 truncated": (wave64()[:-10], "is truncated: 3190 of its 3200"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_sizes_with_no_right_reading_or_several(tmp_path: Path, case: str) -> None:
    content, expected = REFUSED[case]
    (tmp_path / "x.wav").write_bytes(content)
    found = message(tmp_path / "x.wav")
    assert expected in found
    assert ("truncated" in found) == ("truncated" in case)


# --- other forms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_flac(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "x.flac"
    sf.write(path, TONE, RATE, format="FLAC", subtype=subtype)
    whole = path.read_bytes()
    assert np.array_equal(decode(path).samples[:, 0], TONE)
    for total, right in ((0, True), (100, False), (9000, True), (2**32 - 1, True)):  # frames, as its head has them
        path.write_bytes(whole[:22] + struct.pack(">I", total) + whole[26:])
        if right:
            assert np.array_equal(decode(path).samples[:, 0], TONE)
        else:
            assert "its samples are not those that its MD5 was made of" in message(path)
    path.write_bytes(whole[:21] + bytes([whole[21] & 0xF0]) + bytes(20) + whole[42:])  # as written to a pipe
    assert np.array_equal(decode(path).samples[:, 0], TONE)
    path.write_bytes(whole[:-100])
    assert message(path).startswith("cannot be decoded: ")


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "x.ogg"
    x = 0.3 * np.sin(np.arange(RATE) / 7)
    sf.write(path, x, RATE, format="OGG", subtype=subtype)
    whole = path.read_bytes()
    decoded = decode(path).samples[:, 0] / 32768
    assert len(decoded) == RATE
    assert np.corrcoef(decoded, x)[0, 1] > 0.99
    last = whole.rindex(b"OggS")
    half = len(whole) // 2
    damages = {
        "is truncated: its last page is not whole.": whole[:-5],
        "was never closed, or is cut": whole[:last],
        "is damaged: page": whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :],
        "holds more than one stream": whole + whole,
    }
    for expected, content in damages.items():
        path.write_bytes(content)
        assert expected in message(path)


@pytest.mark.parametrize(
    ("subtype", "container"),
    [
        *(("GSM610", "WAV"), ("G721_32", "WAV"), ("NMS_ADPCM_32", "WAV"), ("MS_ADPCM", "WAV"), ("IMA_ADPCM", "WAV")),
        *(("GSM610", "W64"), ("MS_ADPCM", "W64"), ("IMA_ADPCM", "W64"), ("ULAW", "WAV"), ("ALAW", "W64")),
    ],
)
def test_formats_in_blocks_end_where_they_say(tmp_path: Path, subtype: str, container: str) -> None:
    path, x = tmp_path / "x.wav", 0.3 * np.sin(np.arange(1570) / 7)
    sf.write(path, x, RATE, format=container, subtype=subtype)
    content = bytearray(path.read_bytes())
    if subtype not in ("ULAW", "ALAW"):  # libsndfile itself writes the padded length for some of them
        at = content.index(b"fact") + (8 if container == "WAV" else 24)
        content[at : at + 4] = struct.pack("<I", 1570)
    path.write_bytes(content)
    decoded = decode(path).samples[:, 0] / 32768
    assert len(decoded) == 1570
    assert np.corrcoef(decoded, x)[0, 1] > 0.95
    path.write_bytes(content[:-40])
    assert "is truncated" in message(path)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE", "PCM_24", "PCM_32"])
def test_what_is_too_quiet_for_16_bits_keeps_its_resolution(tmp_path: Path, subtype: str) -> None:
    x = np.random.default_rng(0).standard_normal(1600) * 3e-5  # -90 dBFS
    sf.write(tmp_path / "x.wav", x, RATE, subtype=subtype)
    clip = decode(tmp_path / "x.wav")
    assert clip.samples.dtype == np.float32
    assert np.abs(clip.samples[:, 0] - x).max() < (1.3e-7 if subtype == "PCM_24" else 1e-9)
    sf.write(tmp_path / "y.wav", x, 48_000, subtype=subtype)
    assert decode(tmp_path / "y.wav").samples.dtype == np.float32


def test_16_bits_stay_16_bits_however_quiet(tmp_path: Path) -> None:
    sf.write(tmp_path / "x.wav", np.array([0, 1, -1, 0], np.int16), RATE, subtype="PCM_16")
    assert decode(tmp_path / "x.wav").samples[:, 0].tolist() == [0, 1, -1, 0]
    sf.write(tmp_path / "x.wav", np.zeros(100), RATE, subtype="FLOAT")
    assert decode(tmp_path / "x.wav").samples.dtype == np.int16


def test_values_in_no_unit_of_sound(tmp_path: Path) -> None:
    sf.write(tmp_path / "x.wav", np.array([0.1, 1e30]), RATE, subtype="FLOAT")
    assert message(tmp_path / "x.wav") == "holds samples up to 1e+30, in no unit of sound."


def test_what_is_no_file_is_no_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.wav")
    assert message(tmp_path / "x.wav") == "is no regular file."
    (tmp_path / "z.wav").symlink_to("/dev/zero")
    assert message(tmp_path / "z.wav") == "is no regular file."
    (tmp_path / "l.wav").symlink_to("l.wav")
    assert "cannot be read" in message(tmp_path / "l.wav")


def test_truncated_trailing_chunk_is_harmless(tmp_path: Path) -> None:
    x = noise()
    (tmp_path / "x.wav").write_bytes(wav_bytes(x.tobytes(), after=b"LIST" + struct.pack("<I", 400) + b"abc"))
    assert np.array_equal(decode(tmp_path / "x.wav").samples, x)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty (0 bytes)."),
        (b"file_name,d1p,d1v\n", "is not a wav file, nor FLAC or OGG: it begins with b'file_name,d1'."),
        (b"RI", "is not a wav file, nor FLAC or OGG: it begins with b'RI'."),
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
