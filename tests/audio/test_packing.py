"""Packing: once, whole, by whoever comes first, and told well when it cannot be."""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from helpers import RATE, REPOSITORY, fan_clips, noise, write_fan
from processes import Calls

from asdcli.audio import packing
from asdcli.audio.clips import ClipTable
from asdcli.audio.packing import build_store, whole_store
from asdcli.audio.store import FORMAT, SAMPLES, StaleStoreError, Store
from asdcli.errors import UserError, WorkError

# What a second process runs: pack the machine `fan` below argv[1] into argv[2], saying how far it is and what it made.
BUILD = """
import json, logging, sys
from pathlib import Path
from asdcli.audio.clips import ClipTable
from asdcli.audio.packing import build_store, whole_store
from asdcli.errors import AsdError
logging.basicConfig(level=logging.INFO, format="%(message)s")
raw, out = map(Path, sys.argv[1:3])
clips = ClipTable.from_columns(json.loads((raw / "clips.json").read_text()))
def progress(done):
    print(done, flush=True)
    if done == stop_at:
        sys.stdin.read()
try:
    print(build_store(raw, clips, out, progress).fingerprint)
except AsdError as error:
    print(f"{type(error).__name__}: {error}")
"""


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def start(raw: Path, out: Path, before: str = "", stop_at: int = 0, **options) -> subprocess.Popen:
    """stop_at: after so many clips the process goes on only when its stdin ends."""
    (raw / "clips.json").write_text(json.dumps(fan_clips(raw).columns()))
    return subprocess.Popen(
        [sys.executable, "-c", f"{before}stop_at = {stop_at}{BUILD}", str(raw), str(out)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_round_trip(raw: Path, out: Path) -> None:
    done: list[int] = []
    store = build_store(raw, fan_clips(raw), out, done.append)
    assert len(store) == 6
    assert store.channels == 1
    assert store.lengths.tolist() == [1000, 1600] * 3
    assert store.notices == ()
    assert done == [1, 2, 3, 4, 5, 6]
    for i in range(6):
        expected = noise(1000 + 600 * (i % 2), seed=i)[:, 0] / np.float32(32768)
        assert store.waveform(i).dtype == np.float32
        assert np.array_equal(store.waveform(i), expected)
    assert store.clips.columns() == fan_clips(raw).columns()
    assert names_in(out) == ["index.json", "samples.bin"]


def test_a_fresh_store_is_not_packed_again(raw: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_store(raw, fan_clips(raw), out)
    monkeypatch.setattr(packing, "_pack", lambda *_: pytest.fail("packed again"))
    done: list[int] = []
    assert build_store(raw, fan_clips(raw), out, done.append).fingerprint == first.fingerprint
    assert done == []


def test_fingerprint_knows_content_and_not_times(raw: Path, out: Path, tmp_path: Path) -> None:
    first = build_store(raw, fan_clips(raw), out, workers=1).fingerprint
    copy = tmp_path / "copy"
    shutil.copytree(raw, copy, copy_function=shutil.copyfile)
    assert build_store(copy, fan_clips(copy), tmp_path / "b", workers=4).fingerprint == first
    write_fan(copy, "3.wav", noise(1600, seed=99))
    assert build_store(copy, fan_clips(copy), tmp_path / "b").fingerprint != first
    columns = fan_clips(raw).columns()
    columns["label"][0] = 1
    assert build_store(raw, ClipTable.from_columns(columns), out).fingerprint != first


def touch(raw: Path, out: Path) -> None:
    path = raw / "fan/train/2.wav"
    size = path.stat().st_size
    write_fan(raw, "2.wav", noise(1000, seed=77))
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))
    assert path.stat().st_size == size


def edit_json(out: Path, key: str, value: object) -> None:
    index = json.loads((out / "index.json").read_text())
    (out / "index.json").write_text(json.dumps({**index, key: value}))


def swap_samples(raw: Path, out: Path) -> None:
    samples = out / "samples.bin"
    samples.write_bytes(samples.read_bytes()[::-1])


REASONS: list[tuple[Callable[[Path, Path], object], str]] = [
    (touch, "1 source files changed, the first is fan/train/2.wav"),
    (lambda raw, out: write_fan(raw, "7.wav", noise(10)), "the clips are not the same as before"),
    (lambda raw, out: (raw / "fan/train/2.wav").unlink(), "the clips are not the same as before"),
    (lambda raw, out: os.truncate(out / "samples.bin", 15_599), "has 15599 bytes instead of 15600"),
    (swap_samples, "samples.bin was changed after it was written"),
    (lambda raw, out: (out / "samples.bin").unlink(), "There is no store in"),
    (lambda raw, out: (out / "index.json").write_text("{"), "index.json cannot be understood"),
    (lambda raw, out: (out / "index.json").write_text("[]"), "index.json cannot be understood"),
    (lambda raw, out: (out / "index.json").write_text("[" * 100_000), "index.json cannot be understood"),
    (lambda raw, out: (out / "index.json").write_text('{"format": {}}'), "has store format {}"),
    (lambda raw, out: (out / "index.json").write_bytes(b"\xff\xfe"), "index.json cannot be understood"),
    (lambda raw, out: edit_json(out, "format", FORMAT + 1), f"has store format {FORMAT + 1}"),
    (lambda raw, out: edit_json(out, "lengths", [1300] * 6), "index.json was changed"),
]


@pytest.mark.parametrize(("spoil", "reason"), REASONS, ids=[reason[-24:] for _, reason in REASONS])
def test_stale_stores_are_packed_again(
    raw: Path, out: Path, spoil: Callable, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    build_store(raw, fan_clips(raw), out)
    spoil(raw, out)
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="asd"):
        store = build_store(raw, fan_clips(raw), out)
    assert reason in caplog.text
    for i, path in enumerate(store.clips.path):
        assert np.array_equal(store.waveform(i), sf.read(raw / path, dtype="float32")[0])
    assert names_in(out) == ["index.json", "samples.bin"]


def decoded_by(raw: Path, out: Path) -> tuple[Store, int]:
    """The store, and how many clips were decoded for it."""
    done = [0]
    return build_store(raw, fan_clips(raw), out, done.append), done[-1]


def test_one_new_clip_is_one_clip_decoded(raw: Path, out: Path) -> None:
    assert decoded_by(raw, out)[1] == 6
    write_fan(raw, "3a.wav", noise(700, seed=20))
    store, decoded = decoded_by(raw, out)
    assert decoded == 1
    (raw / "fan/train/1.wav").unlink()
    store, decoded = decoded_by(raw, out)
    assert decoded == 0
    again = build_store(raw, fan_clips(raw), out.with_name("again"))
    assert (out / "samples.bin").read_bytes() == (out.with_name("again") / "samples.bin").read_bytes()
    assert store.fingerprint == again.fingerprint
    assert store.measures.rows() == again.measures.rows()


def test_clips_of_one_size_and_time_that_were_exchanged(raw: Path, out: Path) -> None:
    """As they are from one zip: `mv` leaves size and time of content as they were."""
    first, second = (raw / "fan/train" / name for name in ("0.wav", "2.wav"))
    os.utime(first, (1, 1))
    os.utime(second, (1, 1))
    before = decoded_by(raw, out)[0].fingerprint
    first.rename(first.with_suffix(".tmp"))
    second.rename(first)
    first.with_suffix(".tmp").rename(second)
    store, decoded = decoded_by(raw, out)
    assert decoded == 2
    assert store.fingerprint != before
    assert np.array_equal(store.clip(0), noise(1000, seed=2))


def test_a_clip_written_over_in_place_with_its_old_time(raw: Path, out: Path) -> None:
    path = raw / "fan/train/0.wav"
    kept, inode = path.stat().st_mtime_ns, path.stat().st_ino
    decoded_by(raw, out)
    with path.open("r+b") as file:
        file.write((raw / "fan/train/2.wav").read_bytes())
    os.utime(path, ns=(kept, kept))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (inode, kept)
    store, decoded = decoded_by(raw, out)
    assert decoded == 1
    assert np.array_equal(store.clip(0), noise(1000, seed=2))


@pytest.mark.parametrize("quiet", [True, False])
def test_a_clip_too_quiet_for_16_bits_is_kept_beside_others(raw: Path, out: Path, quiet: bool) -> None:
    x = np.random.default_rng(0).standard_normal(1000) * (3e-5 if quiet else 0.1)
    write_fan(raw, "4.wav", x, subtype="FLOAT")
    store = build_store(raw, fan_clips(raw), out)
    assert store.kinds.tolist() == [0, 0, 0, 0, int(quiet), 0]
    assert np.array_equal(store.clip(5), noise(1600, seed=5))
    if quiet:
        assert np.array_equal(store.waveform(4), x.astype(np.float32))
        assert any("4.wav" in notice and "20 dB quieter" in notice for notice in store.notices)
    else:
        assert np.abs(store.waveform(4) - x).max() <= 0.5 / 32768 + 1e-9
    waveforms = {int(i): wave for rows, batch in store.batches(0, 10**6) for i, wave in zip(rows, batch, strict=True)}
    for i in range(6):
        assert waveforms[i].dtype == np.float32
        assert np.array_equal(waveforms[i], store.waveform(i))


def test_damaged_bytes_are_decoded_again_and_said(raw: Path, out: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = build_store(raw, fan_clips(raw), out)
    assert whole_store(raw, store, out) is store
    before, kept = (out / "samples.bin").read_bytes(), (out / "samples.bin").stat()
    with (out / "samples.bin").open("r+b") as file:
        file.seek(2100)
        file.write(bytes([before[2100] ^ 4]))
    os.utime(out / "samples.bin", ns=(kept.st_atime_ns, kept.st_mtime_ns))
    store = Store.open(out, believe=True)
    done: list[int] = []
    again = whole_store(raw, store, out, done.append)
    assert done == [1]
    assert "1 clip in" in caplog.text
    assert "not what was written (first: fan/train/1.wav), decoded again." in caplog.text
    assert (out / "samples.bin").read_bytes() == before
    assert again.fingerprint == store.fingerprint


def test_a_copied_store_is_read_once(raw: Path, out: Path, tmp_path: Path) -> None:
    build_store(raw, fan_clips(raw), out)
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    assert Store.open(copy).moved
    done: list[int] = []
    build_store(raw, fan_clips(raw), copy, done.append)
    assert done == []
    assert not Store.open(copy).moved


def test_what_a_kill_or_an_older_version_left_goes(raw: Path, out: Path) -> None:
    build_store(raw, fan_clips(raw), out)
    for name in ("samples.bin.tmp", "index.json.tmp", "samples.i16"):
        (out / name).write_bytes(b"left")
    (out / "features").mkdir()
    build_store(raw, fan_clips(raw), out)
    assert names_in(out) == ["features", "index.json", "samples.bin"]


def test_notices_are_summed_per_machine(raw: Path, out: Path, caplog: pytest.LogCaptureFixture) -> None:
    for i in range(3):
        write_fan(raw, f"cd{i}.wav", noise(4410), 44100)
    write_fan(raw, "loud.wav", np.array([0.0, 2.0, -3.0]), subtype="FLOAT")
    store = build_store(raw, fan_clips(raw), out)
    assert store.notices == (
        "3 clips of fan resampled from 44100 Hz to 16000 Hz.",
        "1 clip of fan goes beyond full scale, up to 3, and is kept so: fan/train/loud.wav.",
        "1 clip of fan is less than half as long as most: fan/train/loud.wav.",
    )
    assert store.lengths.tolist()[-4:] == [1600, 1600, 1600, 3]
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == list(store.notices)
    assert Store.open(out).notices == store.notices


def test_bad_clips_are_told_together_and_leave_nothing(raw: Path, out: Path) -> None:
    train = raw / "fan" / "train"
    (train / "1.wav").write_bytes(b"")
    os.truncate(train / "2.wav", 500)
    (train / "3.wav").write_text("not a wav at all")
    write_fan(raw, "4.wav", np.full(10, np.nan), subtype="FLOAT")
    clips = fan_clips(raw)
    (train / "5.wav").unlink()
    with pytest.raises(UserError) as caught:
        build_store(raw, clips, out)
    text = str(caught.value)
    assert text.startswith(f"5 of 6 clips of fan cannot be used. {train / '1.wav'} is empty (0 bytes).")
    assert "2.wav is truncated" in text
    assert "3.wav is not a wav file" in text
    assert "4.wav" not in text
    assert text.endswith(" And 2 more.")
    assert names_in(out.parent) == ["fan.lock"]


def test_mixed_channel_counts(raw: Path, out: Path) -> None:
    write_fan(raw, "4.wav", noise(1000, channels=2))
    with pytest.raises(UserError, match="1 clip of fan with 2 channels instead of 1: fan/train/4"):
        build_store(raw, fan_clips(raw), out)
    assert names_in(out.parent) == ["fan.lock"]


def test_no_clips(tmp_path: Path, out: Path) -> None:
    with pytest.raises(UserError, match="There are no clips to pack"):
        build_store(tmp_path, ClipTable.from_columns({k: [] for k in ClipTable.__dataclass_fields__}), out)


def test_an_unusable_folder(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError, match="file cannot be written"):
        build_store(raw, fan_clips(raw), tmp_path / "file" / "fan")


# Real processes.


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Enough clips that packing takes a while: 200 of 2 s, as float so that decoding costs something."""
    x = np.random.default_rng(0).uniform(-1, 1, 2 * RATE)
    for i in range(200):
        write_fan(tmp_path / "raw", f"{i:03d}.wav", np.roll(x, i), subtype="FLOAT")
    return tmp_path / "raw"


def has_packed(process: subprocess.Popen, clips: int) -> None:
    """Returns when it says that it has packed so many."""
    for line in process.stdout:
        if line == f"{clips}\n":
            return
    pytest.fail(process.stderr.read())


@pytest.mark.parametrize("stop", [True, False])
def test_killed_at_any_moment(many: Path, out: Path, tmp_path: Path, stop: bool) -> None:
    """Killed after some clip, while only the other threads go on, or some time later."""
    reference = build_store(many, fan_clips(many), tmp_path / "reference")
    for clips in sorted(random.Random(stop).sample(range(1, 201), 4)):
        process = start(many, out, stop_at=clips if stop else 0)
        has_packed(process, clips)
        process.kill()
        process.communicate()
        assert not stop or "index.json" not in names_in(out)
        if "index.json" in names_in(out):
            assert Store.open(out).fingerprint == reference.fingerprint
            shutil.rmtree(out)
    assert build_store(many, fan_clips(many), out).fingerprint == reference.fingerprint
    assert (out / "samples.bin").read_bytes() == (tmp_path / "reference" / "samples.bin").read_bytes()
    assert names_in(out) == ["index.json", "samples.bin"]


# Before a process packs: die at the nth call of os.replace.
DIE = """
import os, signal
calls, replace = [], os.replace
def die(source, target):
    calls.append(target)
    os.kill(os.getpid(), signal.SIGKILL) if len(calls) == {nth} else replace(source, target)
os.replace = die
"""


@pytest.mark.parametrize("nth", [1, 2])
def test_killed_between_the_two_files(raw: Path, out: Path, nth: int) -> None:
    build_store(raw, fan_clips(raw), out)
    write_fan(raw, "0.wav", noise(1000, seed=50))
    process = start(raw, out, DIE.format(nth=nth))
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(StaleStoreError, match="There is no store"):
        Store.open(out)
    assert np.array_equal(build_store(raw, fan_clips(raw), out).clip(0), noise(1000, seed=50))
    assert names_in(out) == ["index.json", "samples.bin"]


def test_killed_while_packing_again_keeps_the_old_store(many: Path, out: Path) -> None:
    first = build_store(many, fan_clips(many), out)
    for path in (many / "fan" / "train").iterdir():
        path.write_bytes(path.read_bytes()[:-800])  # a little shorter
        repair(path)
    process = start(many, out, stop_at=100)
    has_packed(process, 100)
    assert "samples.bin.tmp" in names_in(out)
    process.kill()
    process.communicate()
    assert Store.open(out).fingerprint == first.fingerprint
    assert build_store(many, fan_clips(many), out).fingerprint != first.fingerprint
    assert names_in(out) == ["index.json", "samples.bin"]


def repair(path: Path) -> None:
    """Sizes in the header that fit the file."""
    content = path.read_bytes()
    at = content.index(b"data")
    path.write_bytes(content[:at] + b"data" + struct.pack("<I", len(content) - at - 8) + content[at + 8 :])


def test_two_processes_at_once(many: Path, out: Path) -> None:
    processes = [start(many, out) for _ in range(3)]
    results = [process.communicate() for process in processes]
    fingerprints = {stdout.split()[-1] for stdout, _ in results}
    assert len(fingerprints) == 1
    assert sum("Packing 200 clips" in stderr for _, stderr in results) == 1
    assert sum("Waiting for another process" in stderr for _, stderr in results) <= 2
    assert Store.open(out).fingerprint in fingerprints


def test_waiting_for_another_process(raw: Path, out: Path) -> None:
    from filelock import FileLock

    out.parent.mkdir(parents=True)
    with FileLock(f"{out}.lock"):
        process = start(raw, out)
        assert "Waiting for another process that packs" in process.stderr.readline()
        build_store_without_lock(raw, out)
    stdout, stderr = process.communicate()
    assert stdout.split()[-1] == Store.open(out).fingerprint
    assert "Packing" not in stderr


def build_store_without_lock(raw: Path, out: Path) -> None:
    packing._pack(raw, fan_clips(raw), out, lambda done: None, 1, "")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A tmpfs of 1 MB where this process may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
    yield disk if mounted else None
    if mounted:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_packed_clips_are_not_kept_in_memory(many: Path, out: Path) -> None:
    tracemalloc.start()
    try:
        build_store(many, fan_clips(many), out, workers=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < (out / SAMPLES).stat().st_size / 2


def test_full_disk(many: Path, small_disk: Path | None) -> None:
    if small_disk is None:
        pytest.skip("no right to mount a tmpfs; the limit on file sizes stands in below")
    with pytest.raises(WorkError, match=r"no space left on device \(about 12\.8 MB needed, 1\.0 MB free\)"):
        build_store(many, fan_clips(many), small_disk / "fan")
    assert names_in(small_disk) == ["fan.lock"]


def test_limited_file_size(many: Path, out: Path) -> None:
    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    stdout, stderr = start(many, out, preexec_fn=limit).communicate()
    assert f"WorkError: {out} cannot be written: {os.strerror(errno.EFBIG).lower()} (about 12.8 MB needed," in stdout, (
        stderr
    )
    assert names_in(out.parent) == ["fan.lock"]


def test_freshness_is_cheap(tmp_path: Path) -> None:
    """One look at the disk and a handful of calls for each source; building a path object would take dozens."""
    write_fan(tmp_path, "0.wav", noise(10))
    clips = fan_clips(tmp_path).select(np.zeros(7000, dtype=int))
    with (calls := Calls()):
        sources = packing._sources(tmp_path, clips)
    assert calls.calls < 10 * 7000
    assert (sources == sources[0]).all()
