"""The packed store: the clips of one set and machine in one file, decoded once.

A store is a folder with two files. `samples.bin` holds the clips one after the other, each `[n, channels]` at 16 kHz,
little-endian int16, or float32 for a clip that 16 bits cannot hold. `index.json` holds the clip table, lengths and
kinds, of each clip a hash and a CRC-32, and what tells whether its source file has changed.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from asdcli.audio.arrayfile import ArrayFile
from asdcli.audio.channels import mix
from asdcli.audio.clips import ClipTable
from asdcli.audio.oddities import Measures
from asdcli.errors import UserError, reason
from asdcli.workspace.files import mark_of

FORMAT = 2  # of the two files
SAMPLING = 1  # to be raised when packing makes other samples of the same recordings than before
SAMPLING_RATE_HZ = 16_000
SAMPLES, INDEX = "samples.bin", "index.json"
KINDS = (np.dtype("<i2"), np.dtype("<f4"))


class StaleStoreError(UserError):
    """There is no store that can be used as it is: the message says why."""


class DamagedStoreError(StaleStoreError):
    """There is one, but it is not what was written."""


@dataclass(frozen=True, eq=False)
class Store:
    """An open store. Clip i of the table is `clip(i)`."""

    clips: ClipTable
    channels: int
    lengths: np.ndarray  # int64 [clips], samples per clip
    kinds: np.ndarray  # int8 [clips], of KINDS
    hashes: np.ndarray  # str [clips], of the samples of each clip
    crcs: np.ndarray  # int64 [clips], CRC-32 of the bytes of each clip
    measures: Measures
    notices: tuple[str, ...]  # what is odd about the clips or had to be changed, one sentence each
    sources: np.ndarray  # int64 [clips, 4]: `mark_of` each source file
    moved: bool  # whether the file of samples is not where it was written: only its content can tell
    _bytes: ArrayFile = field(repr=False)  # uint8
    _checked: np.ndarray = field(repr=False)  # bool [clips]: read and found as written

    @classmethod
    def open(cls, out: Path, believe: bool = False) -> Store:
        """Open the store in a folder; StaleStoreError when it is missing, truncated, changed or of another version.

        The file of samples is read only where size, times and inode do not tell that it is as it was written; not even
        then for a reader that checks the clips (`believe`).
        """
        try:
            index = json.loads((out / INDEX).read_bytes())
            if index["format"] != FORMAT:
                raise StaleStoreError(f"{out} has store format {index['format']}, this version of asd uses {FORMAT}.")
            if index.pop("checksum") != checksum(index):
                raise DamagedStoreError(f"{out / INDEX} was changed after it was written.")
            lengths, kinds = np.array(index["lengths"], np.int64), np.array(index["kinds"], np.int8)
            store = cls(
                clips=ClipTable.from_columns(index["clips"]),
                channels=index["channels"],
                lengths=lengths,
                kinds=kinds,
                hashes=np.array(index["hashes"]),
                crcs=np.array(index["crcs"], np.int64),
                measures=Measures.of(index["measures"]),
                notices=tuple(index["notices"]),
                sources=np.array(index["sources"], dtype=np.int64),
                moved=mark_of(out / SAMPLES) != index["samples_mark"],
                _bytes=_open_samples(out / SAMPLES, lengths, kinds, index["channels"]),
                _checked=np.zeros(len(lengths), bool),
            )
        except FileNotFoundError:
            raise StaleStoreError(f"There is no store in {out}.", "Run: asd features") from None
        except OSError as error:
            raise StaleStoreError(f"The store in {out} cannot be read: {reason(error)}.") from None
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise DamagedStoreError(f"{out / INDEX} cannot be understood: {error}") from None
        if store.moved and not believe and len(store.damaged()):
            raise DamagedStoreError(f"{out / SAMPLES} was changed after it was written.")
        return store

    def __len__(self) -> int:
        return len(self.clips)

    @cached_property
    def fingerprint(self) -> str:
        """Equal for equal clip tables with equal samples, whatever the times of the files."""
        return self.fingerprint_of(slice(None))

    def fingerprint_of(self, which: np.ndarray | slice) -> str:
        """The fingerprint of some clips: what is made of the training clips does not depend on the test clips."""
        return checksum([SAMPLING, self.channels, self.clips.select(which).columns(), self.hashes[which].tolist()])

    def damaged(self) -> np.ndarray:
        """Rows of clips whose bytes are not those that were written; each clip is read for this once."""
        for row in np.flatnonzero(~self._checked).tolist():
            self._checked[row] = crc(self.bytes_of(row)) == self.crcs[row]
        return np.flatnonzero(~self._checked)

    def waveform(self, i: int, channel: int | str = 0) -> np.ndarray:
        """Clip i as float32 [n], full scale 1: within [-1, 1), or (-2, 2) for the difference of two channels; beyond
        it where the recording is.
        """
        return scaled(self.clip(i), channel)

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
                if self.kinds[indices].any():
                    yield indices, np.stack([self.waveform(i, channel) for i in indices])
                else:
                    yield indices, scaled(np.stack([self.clip(i) for i in indices]), channel)

    def clip(self, i: int) -> np.ndarray:
        """Clip i as stored, `[n, channels]` int16, or float32 with full scale 1."""
        return self.bytes_of(i).view(KINDS[self.kinds[i]]).reshape(-1, self.channels)

    def bytes_of(self, i: int) -> np.ndarray:
        """The bytes of clip i, uint8."""
        return self._bytes[self._places[i] : self._places[i + 1]]

    @cached_property
    def _places(self) -> np.ndarray:
        return _places(self.lengths, self.kinds, self.channels)


def _places(lengths: np.ndarray, kinds: np.ndarray, channels: int) -> np.ndarray:
    """First byte of each clip, and the end of the last: int64 [clips + 1]."""
    sizes = np.array([kind.itemsize for kind in KINDS])[kinds]
    return np.concatenate([[0], np.cumsum(lengths * sizes * channels, dtype=np.int64)])


def _open_samples(path: Path, lengths: np.ndarray, kinds: np.ndarray, channels: int) -> ArrayFile:
    samples, expected = ArrayFile(path, np.uint8), int(_places(lengths, kinds, channels)[-1])
    if len(samples) != expected:
        raise DamagedStoreError(f"{path} has {len(samples)} bytes instead of {expected}.")
    return samples


def scaled(samples: np.ndarray, channel: int | str) -> np.ndarray:
    """`[..., n, channels]` as stored to float32 `[..., n]` with full scale 1."""
    waveform = mix(samples, channel)
    if samples.dtype == KINDS[0]:
        waveform *= np.float32(1 / 32768)
    return waveform


def hash_samples(samples: np.ndarray) -> str:
    """What stands for the content of a clip, `[n, channels]`."""
    return hashlib.blake2b(samples.data, digest_size=16).hexdigest()


def crc(content: np.ndarray) -> int:
    """CRC-32 of the bytes of an array that is whole in memory."""
    return zlib.crc32(content.data)


def checksum(content: Any) -> str:
    """Of anything JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
