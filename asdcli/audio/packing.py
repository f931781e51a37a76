"""Packing clips into a store, once, whatever happens in between. A clip that is packed already is copied."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from asdcli.audio.clips import ClipTable
from asdcli.audio.inorder import in_order
from asdcli.audio.oddities import Measures, measure, odd_clips
from asdcli.audio.store import (
    FORMAT,
    INDEX,
    KINDS,
    SAMPLES,
    SAMPLING_RATE_HZ,
    DamagedStoreError,
    StaleStoreError,
    Store,
    checksum,
    crc,
    hash_samples,
)
from asdcli.errors import UserError, WorkError, reason
from asdcli.workspace.files import flush, mark_of, read_json, rename, write_atomic
from asdcli.workspace.locks import locked

_TEMPORARY = ".tmp"
_NAMED_ERRORS = 3

log = logging.getLogger("asd")

Progress = Callable[[int], None]


def build_store(
    raw: Path, clips: ClipTable, out: Path, progress: Progress | None = None, workers: int | None = None
) -> Store:
    """The store of these clips (of one machine, paths relative to `raw`) in the folder `out`, packed only when needed.

    Of an older store there, clips whose source files are as they were are copied. `progress` is called with the number
    of clips decoded so far, and never when the store was fresh. Safe when several processes ask for the same store: one
    packs, the others wait. Killed at any moment, it leaves the old store or none, never a broken one.
    Raises UserError when clips cannot be decoded or differ in their number of channels, WorkError when the folder
    cannot be written.
    """
    if not len(clips):
        raise UserError(f"There are no clips to pack below {raw}.")
    progress = progress or (lambda done: None)
    store, _ = _fresh(raw, clips, out)
    if store is None or store.moved or _left_behind(out):
        with locked(Path(f"{out}.lock"), lambda: log.info("Waiting for another process that packs %s.", out)):
            store, why = _fresh(raw, clips, out)  # another process may have packed it in the meantime
            if store is None:
                if isinstance(why, DamagedStoreError):
                    log.warning("%s The clips are packed again.", why)
                _pack(raw, clips, out, progress, workers or os.cpu_count() or 1, str(why))
                store = Store.open(out)
                for notice in store.notices:
                    log.warning("%s", notice)
            elif store.moved:
                store = _at_home(store, out)
            for left in _left_behind(out):
                left.unlink(missing_ok=True)
    return store


def whole_store(raw: Path, store: Store, out: Path, progress: Progress | None = None) -> Store:
    """A store to work from: its bytes are read, and clips that are not what was written are decoded again, which is
    said.
    """
    if not len(damaged := store.damaged()):
        return store
    paths = store.clips.path[damaged]
    log.warning("%s in %s: not what was written (first: %s), decoded again.", _count(len(paths), "clip"), out, paths[0])
    with locked(Path(f"{out}.lock")):
        _pack(raw, store.clips, out, progress or (lambda done: None), os.cpu_count() or 1, "it is damaged.")
        return Store.open(out)


def fresh_store(raw: Path, clips: ClipTable, out: Path) -> Store | None:
    """The store when it is what packing these clips again would give, else None; nothing is packed."""
    return _fresh(raw, clips, out)[0]


def _fresh(raw: Path, clips: ClipTable, out: Path) -> tuple[Store | None, str | StaleStoreError]:
    """The store when it is what packing these clips again would give, else None and the reason."""
    try:
        store = Store.open(out)
    except StaleStoreError as stale:
        return None, stale
    if store.clips.columns() != clips.columns():
        return None, "the clips are not the same as before."
    changed = np.flatnonzero((store.sources != _sources(raw, clips)).any(axis=1))
    if len(changed):
        return None, f"{len(changed)} source files changed, the first is {clips.path[changed[0]]}."
    return store, ""


def _sources(raw: Path, clips: ClipTable) -> np.ndarray:
    """`mark_of` each source file, int64 [clips, 4]; packing says what is wrong with one that is not there."""
    folder = str(raw)
    return np.array([mark_of(f"{folder}/{path}") for path in clips.path.tolist()], dtype=np.int64)


def _left_behind(out: Path) -> list[Path]:
    """What a kill, or an older version, left in the folder of a store."""
    try:
        names = os.listdir(out)
    except OSError:
        return []
    return [out / name for name in names if name not in (SAMPLES, INDEX) and name.startswith((SAMPLES[:7], INDEX[:5]))]


def _at_home(store: Store, out: Path) -> Store:
    """A store that was copied here, whole: from now on its file is known without reading it."""
    index = read_json(out / INDEX)
    del index["checksum"]
    index["samples_mark"] = mark_of(out / SAMPLES)
    with contextlib.suppress(OSError):  # it may lie where nobody may write
        write_atomic(out / INDEX, json.dumps({**index, "checksum": checksum(index)}).encode())
        return replace(store, moved=False)
    return store


@dataclass(frozen=True)
class _Clip:
    """One clip for the store."""

    content: np.ndarray  # its bytes, uint8
    channels: int
    length: int
    kind: int
    hash: str
    crc: int
    measured: list[float]

    def noted(self) -> _Clip:
        """Without its bytes. An empty slice of them would keep all of them in memory."""
        return replace(self, content=np.empty(0, np.uint8))


class _Older:
    """The store that was there before, and which rows of it may be copied: by path, where the file is as it was."""

    def __init__(self, out: Path, clips: ClipTable, sources: np.ndarray) -> None:
        self.rows: dict[str, int] = {}
        try:
            self.store = Store.open(out, believe=True)
        except StaleStoreError:
            return
        known = {path: row for row, path in enumerate(self.store.clips.path.tolist())}
        for path, mark in zip(clips.path.tolist(), sources, strict=True):
            row = known.get(path)
            if row is not None and mark[0] >= 0 and (self.store.sources[row] == mark).all():
                self.rows[path] = row
        self.measured = self.store.measures.rows()

    def copy(self, path: str) -> _Clip | None:
        """None for a clip whose bytes are not what was written."""
        store, row = self.store, self.rows[path]
        content = store.bytes_of(row)
        if crc(content) != store.crcs[row]:
            return None
        about = int(store.lengths[row]), int(store.kinds[row]), str(store.hashes[row]), int(store.crcs[row])
        return _Clip(content, store.channels, *about, self.measured[row])


def _pack(raw: Path, clips: ClipTable, out: Path, progress: Progress, workers: int, why: str) -> None:
    """Write both files under temporary names, then rename. The caller holds the lock."""
    samples, index = out / (SAMPLES + _TEMPORARY), out / (INDEX + _TEMPORARY)
    packed: list[_Clip] = []
    try:
        out.mkdir(exist_ok=True)
        sources = _sources(raw, clips)  # before reading: a file that changes meanwhile makes the store stale
        older = _Older(out, clips, sources)
        log.info("Packing %d clips into %s: %s", len(clips) - len(older.rows), out, why)
        _write_samples(samples, raw, clips, older, packed, progress, workers)
        _check_channels(clips, packed)
        # Without an index there is no store: a kill between these lines can never pair an old index with new samples.
        (out / INDEX).unlink(missing_ok=True)
        os.replace(samples, out / SAMPLES)
        content = _index(clips, packed, sources, mark_of(out / SAMPLES))
        index.write_text(json.dumps({**content, "checksum": checksum(content)}))
        flush(index)
        rename(index, out / INDEX)
    except BaseException as error:
        with contextlib.suppress(OSError):
            samples.unlink(missing_ok=True)
            index.unlink(missing_ok=True)
            out.rmdir()  # only when it is empty: an older store stays
        if isinstance(error, OSError):
            raise _write_error(error, out, packed, len(clips)) from None
        raise


def _write_samples(
    target: Path, raw: Path, clips: ClipTable, older: _Older, packed: list[_Clip], progress: Progress, workers: int
) -> None:
    """Write the clips, and note them in `packed` without their bytes. Raises one UserError for all bad ones."""
    errors: list[UserError] = []
    decoded = 0

    def work(path: str) -> tuple[_Clip | UserError, bool]:
        copied = older.copy(path) if path in older.rows else None
        return copied or _read(raw / path), copied is None

    with ThreadPoolExecutor(workers) as pool, open(target, "wb") as file:
        for clip, is_new in in_order(pool, work, clips.path.tolist(), ahead=2 * workers):
            if isinstance(clip, UserError):
                errors.append(clip)
            else:
                packed.append(clip.noted())
                if not errors:  # with a bad clip there is no store: go on only to find the other bad ones
                    file.write(clip.content.data)
            if is_new:
                decoded += 1
                progress(decoded)
        if errors:
            _refuse(clips, errors)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> _Clip | UserError:
    from asdcli.audio.decode import decode

    try:
        clip = decode(path)
    except UserError as error:
        return error
    samples = clip.samples
    about = samples.shape[1], len(samples), KINDS.index(samples.dtype), hash_samples(samples), crc(samples)
    return _Clip(samples.reshape(-1).view(np.uint8), *about, measure(samples, clip.rate_hz))


def look_at(raw: Path, clips: ClipTable) -> tuple[list[int], Measures, np.ndarray, list[str]]:
    """What packing would see, without a store: rows of clips that can be decoded, their measures and hashes, and what
    is wrong with the others.
    """
    paths = [raw / path for path in clips.path.tolist()]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        seen = [
            found if isinstance(found, UserError) else found.noted() for found in in_order(pool, _read, paths, ahead=4)
        ]
    good = [(row, found) for row, found in enumerate(seen) if isinstance(found, _Clip)]
    measures = Measures.of([found.measured for _, found in good])
    errors = [str(found) for found in seen if isinstance(found, UserError)]
    return [row for row, _ in good], measures, np.array([found.hash for _, found in good]), errors


def _index(clips: ClipTable, packed: Sequence[_Clip], sources: np.ndarray, mark: list[int]) -> dict[str, Any]:
    measures, hashes = Measures.of(clip.measured for clip in packed), [clip.hash for clip in packed]
    odd = [oddity.sentence(clips) for oddity in odd_clips(clips, measures, np.array(hashes))]
    return {
        "format": FORMAT,
        "channels": packed[0].channels,
        "clips": clips.columns(),
        "lengths": [clip.length for clip in packed],
        "kinds": [clip.kind for clip in packed],
        "hashes": hashes,
        "crcs": [clip.crc for clip in packed],
        "measures": measures.rows(),
        "sources": sources.tolist(),
        "notices": _resampled(clips.machine[0], measures) + odd,
        "samples_mark": mark,
    }


def _resampled(machine: str, measures: Measures) -> list[str]:
    return [
        f"{_count(clips, 'clip')} of {machine} resampled from {rate:.0f} Hz to {SAMPLING_RATE_HZ} Hz."
        for rate, clips in sorted(Counter(measures.rate_hz.tolist()).items())
        if rate != SAMPLING_RATE_HZ
    ]


def _refuse(clips: ClipTable, errors: Sequence[UserError]) -> None:
    """Raise one UserError for all files that cannot be packed."""
    told = [str(error) for error in errors[:_NAMED_ERRORS]]
    more = len(errors) - len(told)
    told += [f"And {more} more."] * (more > 0)
    raise UserError(
        f"{len(errors)} of {_count(len(clips), 'clip')} of {clips.machine[0]} cannot be used. {' '.join(told)}",
        errors[0].hint,
    )


def _check_channels(clips: ClipTable, packed: Sequence[_Clip]) -> None:
    channels = [clip.channels for clip in packed]
    (usual, _), *others = Counter(channels).most_common()
    if others:
        odd, files = others[-1]
        raise UserError(
            f"{_count(files, 'clip')} of {clips.machine[0]} with {_count(odd, 'channel')} instead of {usual}: "
            f"{clips.path[channels.index(odd)]}.",
            "The clips of one machine need the same number of channels.",
        )


def _write_error(error: OSError, out: Path, packed: Sequence[_Clip], clips: int) -> WorkError:
    room = ""
    if packed:
        sizes = [clip.length * clip.channels * KINDS[clip.kind].itemsize for clip in packed]
        needed = sum(sizes) / len(sizes) * clips
        free = shutil.disk_usage(out.parent).free
        room = f" (about {needed / 1e6:.1f} MB needed, {free / 1e6:.1f} MB free)"
    return WorkError(
        f"{out} cannot be written: {reason(error)}{room}.", "Make room, or choose another folder with --root."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
