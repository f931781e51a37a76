"""The packed store: the clips of one set and machine as one memory-mapped int16 array, decoded once.

A store is a folder with two files. `samples.i16` holds the clips one after the other (little-endian, [total, channels],
16 kHz); `index.json` holds the clip table, lengths, a hash of each clip, and size and time of each source file.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from asdcli.audio.clips import ClipTable
from asdcli.audio.decode import mix
from asdcli.errors import UserError, reason

FORMAT = 1
SAMPLES, INDEX = "samples.i16", "index.json"
SAMPLE = np.dtype("<i2")


class StaleStoreError(UserError):
    """There is no store that can be used as it is: the message says why."""


@dataclass(frozen=True, eq=False)
class Store:
    """An open store. Clip i of the table is `samples[offsets[i]:offsets[i + 1]]`."""

    clips: ClipTable
    samples: np.ndarray  # memory-mapped int16 [total, channels]
    offsets: np.ndarray  # int64 [clips + 1]
    hashes: np.ndarray  # str [clips], of the samples of each clip
    notices: tuple[str, ...]  # what decoding had to change, one sentence each
    sources: np.ndarray  # int64 [clips, 2]: size in bytes and mtime in ns of each source file

    @classmethod
    def open(cls, out: Path) -> Store:
        """Open the store in a folder; StaleStoreError when it is missing, truncated, changed or of another version."""
        try:
            index = json.loads((out / INDEX).read_bytes())
            if index["format"] != FORMAT:
                raise StaleStoreError(f"{out} has store format {index['format']}, this version of asd uses {FORMAT}.")
            if index.pop("checksum") != checksum(index):
                raise StaleStoreError(f"{out / INDEX} was changed after it was written.")
            offsets = np.concatenate([[0], np.cumsum(index["lengths"], dtype=np.int64)])
            samples = _open_samples(out / SAMPLES, index, offsets)
        except FileNotFoundError:
            raise StaleStoreError(f"There is no store in {out}.", "Run: asd features") from None
        except OSError as error:
            raise StaleStoreError(f"The store in {out} cannot be read: {reason(error)}.") from None
        except (KeyError, TypeError, ValueError) as error:
            raise StaleStoreError(f"{out / INDEX} cannot be understood: {error}") from None
        return cls(
            clips=ClipTable.from_columns(index["clips"]),
            samples=samples,
            offsets=offsets,
            hashes=np.array(index["hashes"]),
            notices=tuple(index["notices"]),
            sources=np.array(index["sources"], dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def channels(self) -> int:
        return self.samples.shape[1]

    @property
    def lengths(self) -> np.ndarray:
        """Samples per clip, int64 [clips]."""
        return np.diff(self.offsets)

    @cached_property
    def fingerprint(self) -> str:
        """Equal for equal clip tables with equal samples, whatever the times of the files."""
        return self.fingerprint_of(slice(None))

    def fingerprint_of(self, which: np.ndarray | slice) -> str:
        """The fingerprint of some clips: what is made of the training clips does not depend on the test clips."""
        return checksum([FORMAT, self.channels, self.clips.select(which).columns(), self.hashes[which].tolist()])

    def waveform(self, i: int, channel: int | str = 0) -> np.ndarray:
        """Clip i as float32 [n], full scale 1: within [-1, 1), or (-2, 2) for the difference of two channels."""
        return _scaled(self.clip(i), channel)

    def batches(
        self, channel: int | str, max_samples: int, which: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Clips in batches of equal length: (indices int64 [b], waveforms float32 [b, n]), b * n <= max_samples.

        `which` is an index array, all clips when left out. A clip longer than `max_samples` comes alone. Front ends run
        over these without padding.
        """
        wanted = np.arange(len(self)) if which is None else which
        lengths = self.lengths[wanted]
        for n in np.unique(lengths):
            same = wanted[lengths == n]
            size = max(1, max_samples // int(n))
            for start in range(0, len(same), size):
                indices = same[start : start + size]
                yield indices, _scaled(np.stack([self.clip(i) for i in indices]), channel)

    def clip(self, i: int) -> np.ndarray:
        """Clip i as stored, int16 [n, channels], still on disk."""
        return self.samples[self.offsets[i] : self.offsets[i + 1]]


def _open_samples(path: Path, index: dict[str, Any], offsets: np.ndarray) -> np.ndarray:
    shape = (int(offsets[-1]), index["channels"])
    stat = path.stat()
    expected = shape[0] * shape[1] * SAMPLE.itemsize
    if stat.st_size != expected:
        raise StaleStoreError(f"{path} has {stat.st_size} bytes instead of {expected}.")
    samples = np.memmap(path, SAMPLE, "r", shape=shape)
    if stat.st_mtime_ns != index["samples_mtime_ns"]:  # copied, or changed: only its content can tell
        pairs = itertools.pairwise(offsets)
        if [hash_samples(samples[start:end]) for start, end in pairs] != index["hashes"]:
            raise StaleStoreError(f"{path} was changed after it was written.")
    return samples


def _scaled(samples: np.ndarray, channel: int | str) -> np.ndarray:
    """int16 [..., n, channels] to float32 [..., n] with full scale 1."""
    waveform = mix(samples, channel)
    waveform *= np.float32(1 / 32768)
    return waveform


def hash_samples(samples: np.ndarray) -> str:
    """What stands for the content of a clip, int16 [n, channels]."""
    return hashlib.blake2b(samples.data, digest_size=16).hexdigest()


def checksum(content: Any) -> str:
    """Of anything JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
