"""Cached features of real stores: values, keys, broken files, two processes at once."""

from __future__ import annotations

import inspect
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from helpers import REPOSITORY, write_clip

from asdcli.audio.cachefile import is_as_written
from asdcli.audio.clips import ClipTable
from asdcli.audio.features import Features, cached_features, described, feature_key
from asdcli.audio.frontends import FRONTENDS
from asdcli.audio.packing import build_store
from asdcli.audio.store import Store
from asdcli.errors import UserError, WorkError
from asdcli.recipe.components import Component, build

CPU = torch.device("cpu")
LENGTHS = (8000, 6000, 8000, 9001, 6000)  # in no order, and a batch of equal lengths is never all of them

# What a second process runs: features of the store argv[1] in the folder argv[2], then a hash of them.
COMPUTE = """
import hashlib, sys
from pathlib import Path
import torch
from asdcli.audio.features import cached_features
from asdcli.audio.store import Store
from asdcli.recipe.components import Component
store = Store.open(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
features = cached_features(store, Component(name="logmel"), 0, Path(sys.argv[2]), torch.device("cpu"))
print(features.fingerprint, hashlib.sha256(features.frames[:].tobytes()).hexdigest())
"""


def pack(folder: Path, lengths: tuple[int, ...] = LENGTHS, channels: int = 2, seed: int = 0) -> Store:
    """A store of clips of noise."""
    rng, names = np.random.default_rng(seed), [f"fan/train/{index}.wav" for index in range(len(lengths))]
    for name, length in zip(names, lengths, strict=True):
        write_clip(folder / "raw" / name, rng.uniform(-0.5, 0.5, (length, channels)))
    columns: dict[str, list[Any]] = {name: [""] * len(names) for name in ("section", "domain", "split")}
    columns |= {"machine": ["fan"] * len(names), "label": [0] * len(names), "attributes": [{}] * len(names)}
    return build_store(folder / "raw", ClipTable.from_columns(columns | {"path": names}), folder / "store")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return pack(tmp_path_factory.mktemp("features"))


@pytest.fixture
def compute(store: Store, tmp_path: Path) -> Callable[..., Features]:
    def computed(frontend: Component | None = None, channel: int | str = 0, **more: Any) -> Features:
        return cached_features(store, frontend or named("logmel"), channel, tmp_path / "cache", CPU, **more)

    return computed


def named(name: str, **params: Any) -> Component:
    return Component.model_validate({"name": name, **params})


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.f32")
    return path


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FRONTENDS)
@pytest.mark.parametrize("channel", [1, "mean", "difference"])
def test_values_are_those_of_the_front_end(
    name: str, channel: int | str, store: Store, compute: Callable[..., Features]
) -> None:
    features, module = compute(named(name), channel), build(FRONTENDS, "front end", named(name))
    assert features.frames.dtype == np.float32
    assert features.frames.shape == (features.offsets[-1], module.n_features)
    assert len(features.offsets) == len(LENGTHS) + 1
    for clip, length in enumerate(LENGTHS):
        part = features.frames[features.offsets[clip] : features.offsets[clip + 1]]
        direct = module(torch.from_numpy(store.waveform(clip, channel))[None])[0].T
        assert len(part) == module.frames(length)
        torch.testing.assert_close(torch.from_numpy(np.array(part)), direct, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length", [150_000, 1_500_000], ids=["side by side", "one after another"])
def test_values_do_not_depend_on_the_number_of_threads(length: int, tmp_path: Path) -> None:
    store = pack(tmp_path, (length,) * 3, channels=1)  # each a batch of its own
    made, before = [], torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            said = torch.__config__.parallel_info()
            made.append(cached_features(store, named("logmel"), 0, tmp_path / str(threads), CPU).frames[:])
            assert torch.__config__.parallel_info() == said  # of OpenMP, and of MKL, which is one for all threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*made)


def test_a_second_call_reads_what_is_there(compute: Callable[..., Features], tmp_path: Path) -> None:
    done: list[int] = []
    first = compute(progress=done.append)
    assert done == sorted(done)
    assert done[-1] == len(LENGTHS)
    path = only_file(tmp_path / "cache")
    before = path.stat().st_mtime_ns
    done.clear()
    again = compute(progress=done.append)
    assert done == []
    assert path.stat().st_mtime_ns == before
    np.testing.assert_array_equal(again.frames[:], first.frames[:])
    np.testing.assert_array_equal(again.offsets, first.offsets)
    assert again.fingerprint == first.fingerprint


# --- the key --------------------------------------------------------------------------------------------------------


def another(value: Any, kind: Any) -> Any:
    """A different value of the same type."""
    if get_origin(kind) is Literal:
        return next(choice for choice in get_args(kind) if choice != value)
    if kind is bool:
        return not value
    return value + 1 if kind is int else value + 0.5


def parameters(name: str) -> Iterator[tuple[str, Any, Any]]:
    """Name, default and another value of everything a recipe may set."""
    hints = get_type_hints(FRONTENDS[name].__init__)
    for parameter in inspect.signature(FRONTENDS[name]).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            yield parameter.name, parameter.default, another(parameter.default, hints[parameter.name])


def key_of(store: Store, frontend: Component, channel: int | str) -> str:
    return feature_key(store, described(frontend), channel)


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in FRONTENDS for key, *_ in parameters(name)])
def test_every_parameter_is_in_the_key(name: str, key: str, store: Store) -> None:
    default, other = next((default, other) for each, default, other in parameters(name) if each == key)
    plain = key_of(store, named(name), 0)
    assert key_of(store, named(name, **{key: other}), 0) != plain
    assert key_of(store, named(name, **{key: default}), 0) == plain  # written out or not is no difference


def test_front_end_channel_and_store_are_in_the_key(store: Store, tmp_path: Path) -> None:
    keys = {key_of(store, named(name), 0) for name in FRONTENDS}
    assert len(keys) == len(FRONTENDS)
    keys |= {key_of(store, named("logmel"), channel) for channel in (1, "mean", "difference")}
    keys.add(key_of(pack(tmp_path, seed=1), named("logmel"), 0))
    assert len(keys) == len(FRONTENDS) + 4


def test_nothing_else_is_in_the_key(store: Store, tmp_path: Path) -> None:
    plain = key_of(store, named("logmel", n_fft=512, power=2.0), 0)
    assert key_of(store, named("logmel", power=2, n_fft=512), 0) == plain  # order, and 2 for 2.0
    assert key_of(store, named("logmel", n_fft="512", power="2e0"), 0) == plain
    assert key_of(store, Component.model_validate("stft"), 0) == key_of(store, named("stft"), 0)
    elsewhere = pack(tmp_path)
    assert key_of(elsewhere, named("logmel"), 0) == key_of(store, named("logmel"), 0)


def test_features_of_different_keys_live_side_by_side(compute: Callable[..., Features], tmp_path: Path) -> None:
    made = [compute(), compute(channel=1), compute(named("stft")), compute(named("logmel", n_mels=64))]
    assert len({features.fingerprint for features in made}) == len(list((tmp_path / "cache").glob("*.f32"))) == 4
    assert not np.array_equal(made[0].frames[:], made[1].frames[:])
    assert made[3].frames.shape[1] == 64


# --- broken files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [lambda content: content[:-4], lambda content: b"", lambda content: content + b"x"])
def test_a_cache_of_the_wrong_size_is_computed_again(
    damage: Callable[[bytes], bytes], compute: Callable[..., Features], tmp_path: Path
) -> None:
    whole = compute().frames[:]
    path = only_file(tmp_path / "cache")
    path.write_bytes(damage(path.read_bytes()))
    done: list[int] = []
    np.testing.assert_array_equal(compute(progress=done.append).frames[:], whole)
    assert done[-1] == len(LENGTHS)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: bytes(len(content)),
        lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
    ],
    ids=["zeroed", "one bit"],
)
def test_a_cache_of_other_bytes_is_computed_again_and_said(
    damage: Callable[[bytes], bytes],
    compute: Callable[..., Features],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = compute().frames[:]
    path = only_file(tmp_path / "cache")
    kept = path.stat()
    content = damage(path.read_bytes())
    with path.open("r+b") as file:  # the same inode, size and time: only the bytes tell
        file.write(content)
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    done: list[int] = []
    np.testing.assert_array_equal(compute(progress=done.append).frames[:], whole)
    assert done[-1] == len(LENGTHS)
    assert caplog.messages == [f"The features in {path} are not what was written; computed again."]


@pytest.mark.parametrize("note", ["[5]", "{", '{"crcs": 5, "mark": []}', "[" * 100_000, ""])
def test_a_damaged_note_is_not_believed(note: str, compute: Callable[..., Features], tmp_path: Path) -> None:
    whole = compute().frames[:]
    path = only_file(tmp_path / "cache")
    path.with_suffix(".json").write_text(note)
    assert not is_as_written(path)
    done: list[int] = []
    np.testing.assert_array_equal(compute(progress=done.append).frames[:], whole)
    assert done[-1] == len(LENGTHS)
    assert is_as_written(path)


def test_a_copied_cache_is_read_once_and_taken(compute: Callable[..., Features], tmp_path: Path) -> None:
    compute()
    path = only_file(tmp_path / "cache")
    path.write_bytes(path.read_bytes())
    assert not is_as_written(path)
    done: list[int] = []
    compute(progress=done.append)
    assert done == []
    assert is_as_written(path)


def test_what_a_killed_process_left_is_not_taken(compute: Callable[..., Features], tmp_path: Path) -> None:
    whole = compute().frames[:]
    path = only_file(tmp_path / "cache")
    path.rename(path.with_name(f".{path.name}.1.tmp"))
    np.testing.assert_array_equal(compute().frames[:], whole)


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """Writing beyond `size` bytes fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_and_leaves_nothing(compute: Callable[..., Features], tmp_path: Path) -> None:
    with small_files(5000), pytest.raises(WorkError, match=r"Cannot write the features to .*cache"):
        compute()
    assert list((tmp_path / "cache").iterdir()) == []
    assert len(compute().frames)


# --- what cannot be computed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in FRONTENDS if name != "waveform"])  # which has no window
def test_a_clip_shorter_than_a_window_is_named(name: str, tmp_path: Path) -> None:
    store = pack(tmp_path, (6000, 300, 6000))
    with pytest.raises(UserError, match=r"fan/train/1\.wav is too short for the front end\. The clip has 300 samples"):
        cached_features(store, named(name), 0, tmp_path / "cache", CPU)
    assert not (tmp_path / "cache").exists()


def test_a_channel_that_is_not_there_is_the_users_error(compute: Callable[..., Features], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Channel 2 is not possible for clips with 2 channels"):
        compute(channel=2)
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_impossible_front_end_is_the_users_error(compute: Callable[..., Features]) -> None:
    with pytest.raises(UserError, match="front end logmel: hop_length is 0"):
        compute(named("logmel", hop_length=0))
    with pytest.raises(UserError, match="unknown front end 'logmell'"):
        compute(named("logmell"))


# --- two processes --------------------------------------------------------------------------------------------------


def test_two_processes_at_once_agree(tmp_path: Path) -> None:
    lengths = tuple(16_000 + 16 * index for index in range(60))  # no two alike: many small batches
    pack(tmp_path, lengths, channels=1)
    command = [sys.executable, "-c", COMPUTE, str(tmp_path / "store"), str(tmp_path / "cache")]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"  # both have imported everything
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert answers[0] == answers[1] != ""
    assert sorted(path.suffix for path in (tmp_path / "cache").iterdir()) == [".f32", ".json"]
