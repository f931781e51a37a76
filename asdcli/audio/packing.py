"""Packing clips into a store, once, whatever happens in between."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from asdcli.audio.clips import ClipTable
from asdcli.audio.decode import SAMPLING_RATE_HZ, Decoded, decode
from asdcli.audio.store import FORMAT, INDEX, SAMPLE, SAMPLES, StaleStoreError, Store, checksum, hash_samples
from asdcli.errors import UserError, WorkError, reason
from asdcli.workspace.locks import locked

_TEMPORARY = ".tmp"
_NAMED_ERRORS = 3

log = logging.getLogger("asd")

Progress = Callable[[int], None]


def build_store(
    raw: Path, clips: ClipTable, out: Path, progress: Progress | None = None, workers: int | None = None
) -> Store:
    """The store of these clips (of one machine, paths relative to `raw`) in the folder `out`, packed only when needed.

    `progress` is called with the number of clips packed so far, and never when the store was fresh. Safe when several
    processes ask for the same store: one packs, the others wait. Killed at any moment, it leaves the old store or none,
    never a broken one.
    Raises UserError when clips cannot be decoded or differ in their number of channels, WorkError when the folder
    cannot be written.
    """
    if not len(clips):
        raise UserError(f"There are no clips to pack below {raw}.")
    progress = progress or (lambda done: None)
    store, _ = _fresh(raw, clips, out)
    if store is None:
        with locked(Path(f"{out}.lock"), lambda: log.info("Waiting for another process that packs %s.", out)):
            store, why = _fresh(raw, clips, out)  # another process may have packed it in the meantime
            if store is None:
                log.info("Packing %d clips into %s: %s", len(clips), out, why)
                _pack(raw, clips, out, progress, workers or os.cpu_count() or 1)
                store = Store.open(out)
                for notice in store.notices:
                    log.warning("%s", notice)
    return store


def fresh_store(raw: Path, clips: ClipTable, out: Path) -> Store | None:
    """The store when it is what packing these clips again would give, else None; nothing is packed."""
    return _fresh(raw, clips, out)[0]


def _fresh(raw: Path, clips: ClipTable, out: Path) -> tuple[Store | None, str]:
    """The store when it is what packing these clips again would give, else None and the reason."""
    try:
        store = Store.open(out)
    except StaleStoreError as stale:
        return None, str(stale)
    if store.clips.columns() != clips.columns():
        return None, "the clips are not the same as before."
    changed = np.flatnonzero((store.sources != _sources(raw, clips)).any(axis=1))
    if len(changed):
        return None, f"{len(changed)} source files changed, the first is {clips.path[changed[0]]}."
    return store, ""


def _sources(raw: Path, clips: ClipTable) -> np.ndarray:
    """Size in bytes and mtime in ns of each source file, int64 [clips, 2]; (-1, -1) for a file that is not there."""
    folder = str(raw)
    rows = np.full((len(clips), 2), -1, dtype=np.int64)
    for row, path in zip(rows, clips.path.tolist(), strict=True):
        with contextlib.suppress(OSError):  # packing says what is wrong with it
            stat = os.stat(f"{folder}/{path}")
            row[:] = stat.st_size, stat.st_mtime_ns
    return rows


@dataclass
class _Packed:
    """What is known of the clips packed so far."""

    lengths: list[int] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    channels: list[int] = field(default_factory=list)
    rates_hz: Counter[int] = field(default_factory=Counter)
    clipped: list[int] = field(default_factory=list)
    errors: list[UserError] = field(default_factory=list)

    def add(self, clip: Decoded, digest: str) -> None:
        self.lengths.append(len(clip.samples))
        self.hashes.append(digest)
        self.channels.append(clip.samples.shape[1])
        self.rates_hz[clip.rate_hz] += 1
        self.clipped += [clip.clipped] if clip.clipped else []

    def notices(self, machine: str) -> list[str]:
        notices = [
            f"{_count(clips, 'clip')} of {machine} resampled from {rate} Hz to {SAMPLING_RATE_HZ} Hz."
            for rate, clips in sorted(self.rates_hz.items())
            if rate != SAMPLING_RATE_HZ
        ]
        if self.clipped:
            clips, samples = len(self.clipped), sum(self.clipped)
            notices.append(f"{_count(clips, 'clip')} of {machine} clipped to full scale: {_count(samples, 'sample')}.")
        return notices

    def check(self, clips: ClipTable) -> None:
        """Raise one UserError for all files that cannot be packed."""
        machine = clips.machine[0]
        if self.errors:
            told = [str(error) for error in self.errors[:_NAMED_ERRORS]]
            more = len(self.errors) - len(told)
            told += [f"And {more} more."] * (more > 0)
            raise UserError(
                f"{len(self.errors)} of {_count(len(clips), 'clip')} of {machine} cannot be used. {' '.join(told)}",
                self.errors[0].hint,
            )
        (usual, _), *others = Counter(self.channels).most_common()
        if others:
            odd, files = others[-1]
            raise UserError(
                f"{_count(files, 'clip')} of {machine} with {_count(odd, 'channel')} instead of {usual}: "
                f"{clips.path[self.channels.index(odd)]}.",
                "The clips of one machine need the same number of channels.",
            )


def _pack(raw: Path, clips: ClipTable, out: Path, progress: Progress, workers: int) -> None:
    """Write both files under temporary names, then rename. The caller holds the lock."""
    samples, index = out / (SAMPLES + _TEMPORARY), out / (INDEX + _TEMPORARY)
    packed = _Packed()
    try:
        out.mkdir(exist_ok=True)
        sources = _sources(raw, clips)  # before reading: a file that changes meanwhile makes the store stale
        paths = [raw / path for path in clips.path.tolist()]
        _write_samples(samples, paths, packed, progress, workers)
        packed.check(clips)
        content: dict[str, Any] = {
            "format": FORMAT,
            "channels": packed.channels[0],
            "clips": clips.columns(),
            "lengths": packed.lengths,
            "hashes": packed.hashes,
            "sources": sources.tolist(),
            "notices": packed.notices(clips.machine[0]),
            "samples_mtime_ns": samples.stat().st_mtime_ns,
        }
        index.write_text(json.dumps({**content, "checksum": checksum(content)}))
        # Without an index there is no store: a kill between these lines can never pair an old index with new samples.
        (out / INDEX).unlink(missing_ok=True)
        os.replace(samples, out / SAMPLES)
        os.replace(index, out / INDEX)
    except BaseException as error:
        with contextlib.suppress(OSError):
            samples.unlink(missing_ok=True)
            index.unlink(missing_ok=True)
            out.rmdir()  # only when it is empty: an older store stays
        if isinstance(error, OSError):
            raise _write_error(error, out, packed, len(clips)) from None
        raise


def _write_samples(target: Path, paths: list[Path], packed: _Packed, progress: Progress, workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool, open(target, "wb") as file:
        for done, clip in enumerate(_in_order(pool, _read, paths, ahead=2 * workers), start=1):
            if isinstance(clip, UserError):
                packed.errors.append(clip)
            else:
                packed.add(*clip)
                if not packed.errors:  # with a bad clip there is no store: go on only to find the other bad ones
                    file.write(clip[0].samples.data)
            progress(done)


def _read(path: Path) -> tuple[Decoded, str] | UserError:
    try:
        clip = decode(path)
    except UserError as error:
        return error
    return clip, hash_samples(clip.samples)


def _in_order(pool: ThreadPoolExecutor, work: Callable, items: Iterable, ahead: int) -> Iterator:
    """Like pool.map, but never more than `ahead` results wait in memory."""
    waiting: deque[Future] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _write_error(error: OSError, out: Path, packed: _Packed, clips: int) -> WorkError:
    room = ""
    if packed.lengths:
        needed = sum(packed.lengths) / len(packed.lengths) * clips * packed.channels[0] * SAMPLE.itemsize
        free = shutil.disk_usage(out.parent).free
        room = f" (about {needed / 1e6:.1f} MB needed, {free / 1e6:.1f} MB free)"
    return WorkError(
        f"{out} cannot be written: {reason(error)}{room}.", "Make room, or choose another folder with --root."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
