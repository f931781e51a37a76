"""Derived features on disk: one front end over one store, computed once.

A cache holds all frames of all clips one after another, `[frames, features]` float32. Its key holds everything that
changes a value (front end, its parameters and code, channel, the store's fingerprint) and nothing else. A small file
beside it (`cachefile.py`) tells whether it is what was written, which can be seen without a front end.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asdcli.audio.arrayfile import ArrayFile
from asdcli.audio.cachefile import damaged, write_note
from asdcli.audio.inorder import in_order
from asdcli.audio.store import Store
from asdcli.errors import UserError, WorkError
from asdcli.recipe.components import Component, build, check, code_digest
from asdcli.workspace.files import replacing

if TYPE_CHECKING:
    import torch

FORMAT = 2  # of the cache; to be raised when a front end is corrected (2: torchaudio's mel filters)
log = logging.getLogger("asd")

AT_ONCE = {"cpu": 1 << 18}  # samples that a front end transforms at once: its spectra stay in a core's cache
AT_ONCE_ELSEWHERE = 1 << 21


@dataclass(frozen=True)
class Features:
    """frames `[all frames, features]` float32, in a file or in memory; offsets `[clips + 1]` into it; a fingerprint."""

    frames: ArrayFile | np.ndarray
    offsets: np.ndarray
    fingerprint: str

    def clip(self, i: int) -> np.ndarray:
        """The frames of clip i, `[T, features]`."""
        return self.frames[self.offsets[i] : self.offsets[i + 1]]


def samples_at_once(device: torch.device) -> int:
    return AT_ONCE.get(device.type, AT_ONCE_ELSEWHERE)


def described(frontend: Component) -> dict[str, Any]:
    """A front end as plain data: its name, every parameter (a default written out is the same value) and its code."""
    from asdcli.audio.frontends import FRONTENDS

    params, code = check(FRONTENDS, "front end", frontend), code_digest(FRONTENDS, frontend)
    return {"name": frontend.name, "params": params, "code": code}


def feature_key(store: Store, frontend: dict[str, Any], channel: int | str) -> str:
    """What the values depend on, as a short hash. frontend: as `described`."""
    text = json.dumps([FORMAT, store.fingerprint, frontend, channel], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def cache_file(store: Store, frontend: dict[str, Any], channel: int | str, folder: Path) -> Path:
    """Where in a folder of caches the features lie, or would. frontend: as `described`."""
    return folder / f"{feature_key(store, frontend, channel)}.f32"


def cached_features(
    store: Store,
    frontend: Component,
    channel: int | str,
    folder: Path,
    device: torch.device,
    progress: Callable[[int], None] | None = None,
) -> Features:
    """The front end's features of every clip in the store, from `folder` if they are there, else computed into it."""
    from asdcli.audio.frontends import FRONTENDS

    module = build(FRONTENDS, "front end", frontend).to(device).eval()
    counts = _frame_counts(store, module)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    path = cache_file(store, described(frontend), channel, folder)
    shape = (int(offsets[-1]), module.n_features)
    frames = _open(path, shape)
    if frames is not None and damaged(path, frames, offsets):
        log.warning("The features in %s are not what was written; computed again.", path)
        frames = None
    if frames is None:
        _compute(store, module, channel, offsets, path, device, progress)
        frames = ArrayFile(path, np.float32, module.n_features)
    return Features(frames, offsets, path.stem)


def _open(path: Path, shape: tuple[int, int]) -> ArrayFile | None:
    """None where there is no file with its note, or one of another size."""
    if not path.with_suffix(".json").is_file() or not path.is_file() or path.stat().st_size != shape[0] * shape[1] * 4:
        return None
    return ArrayFile(path, np.float32, shape[1])


def _frame_counts(store: Store, module: Any) -> np.ndarray:
    lengths, inverse = np.unique(store.lengths, return_inverse=True)
    try:
        counts = np.array([module.frames(int(n)) for n in lengths])
    except ValueError as error:  # front ends refuse a clip shorter than their window, so the shortest is at fault
        short = store.clips.path[int(store.lengths.argmin())]
        raise UserError(
            f"{short} is too short for the front end. {error}",
            "Remove the clip or use a front end with a shorter window.",
        ) from None
    return counts[inverse]


def _compute(
    store: Store,
    module: Any,
    channel: int | str,
    offsets: np.ndarray,
    path: Path,
    device: torch.device,
    progress: Callable[[int], None] | None,
) -> None:
    import torch

    row_bytes, longest = module.n_features * 4, int(store.lengths.max())
    done, crcs = 0, [0] * len(store)

    def transform(batch: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        indices, waveforms = batch
        with torch.inference_mode():
            made = module(torch.from_numpy(waveforms).to(device)).transpose(1, 2)
            return indices, made.contiguous().cpu().numpy()

    try:
        # Plain writes, not a memory map: a full disk is then an error to report and not a SIGBUS.
        with replacing(path) as temporary, temporary.open("wb") as file, _side_by_side(device, longest) as apply:
            for indices, features in apply(transform, store.batches(channel, samples_at_once(device))):
                for clip, values in zip(indices, features, strict=True):
                    file.seek(int(offsets[clip]) * row_bytes)
                    content = values.astype("<f4", copy=False).data
                    crcs[clip] = zlib.crc32(content)
                    file.write(content)
                done += len(indices)
                if progress:
                    progress(done)
        write_note(path, crcs)
    except OSError as error:
        needed = int(offsets[-1]) * row_bytes >> 20
        raise WorkError(f"Cannot write the features to {path.parent} ({needed} MB): {error.strerror}.") from error


@contextmanager
def _side_by_side(device: torch.device, longest: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """`map`; on the CPU several batches at once, as many as there are cores and as memory is used for elsewhere.

    longest: samples of the longest clip. Batches beside one another share no operation, at whose end all cores would
    wait for the slowest.
    """
    if device.type != "cpu":
        yield map
        return
    import torch

    threads = torch.get_num_threads()
    workers = max(1, min(threads, AT_ONCE_ELSEWHERE // max(longest, samples_at_once(device))))
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,)) as pool:
            yield partial(in_order, pool, ahead=workers)
    finally:
        torch.set_num_threads(threads)  # MKL knows one number for all threads
