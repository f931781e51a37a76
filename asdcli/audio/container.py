"""Sound files whose sizes may lie: what libsndfile can read whole, or a refusal that says what is wrong.

libsndfile believes the sizes in a header and silently shortens what does not fit. They are compared with the file
first; where they disagree and there is one right reading, it is given a header that says so.
"""

from __future__ import annotations

import io
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from asdcli.errors import UserError, reason

AGAIN = "Copy or download it again."

# Programs that write to a pipe cannot go back to fill in the size of the samples: ffmpeg leaves 0xFFFFFFFF, sox and
# arecord a number just below 0x80000000: no clip is that long, so it means "up to the end of the file". So does
# 2,000,000,000, which others leave, and anything from there on, where far fewer bytes are there.
_OPEN_ENDED_BYTES = 0x7FFF_0000
_PERHAPS_OPEN_BYTES, _PERHAPS_OPEN_TIMES = 2_000_000_000, 16
_ALL = 0xFFFFFFFF  # which libsndfile, too, takes for "up to the end"

_WAVE64 = b"\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"  # of `riff`; the other chunks end as follows
_WAVE64_CHUNK = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_PLAIN = (1, 3, 6, 7, 0xFFFE)  # PCM, float, A-law, mu-law, extensible: formats whose samples need no block to be whole
_NAMES = """
    fmt data fact LIST list bext iXML axml chna cue plst smpl inst acid strc PEAK JUNK junk PAD FLLR DISP id3 ID3 _PMX
    umid cart levl elm1 minf afsp note labl adtl CSET dbmd cset regn link ds64 r64m SyLp wamd guan
"""
_CHUNKS = frozenset(name.ljust(4).encode() for name in _NAMES.split())
_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")  # what players write behind a file, outside of any container


@dataclass(frozen=True)
class Source:
    """What libsndfile may read, and how many frames of it are meant; None for all of them."""

    file: str | io.BytesIO
    frames: int | None = None


@dataclass(frozen=True)
class _Form:
    """How chunks are written: byte order, bytes of a chunk's head, and the multiple that its content is padded to."""

    order: str
    head: int
    align: int

    def read(self, file: BinaryIO, at: int) -> tuple[bytes, int] | None:
        """The name of the chunk at a place, and the size that it claims for its content; None where the file ends."""
        file.seek(at)
        raw = file.read(self.head)
        if len(raw) < self.head:
            return None
        if self.head == 8:
            return raw[:4], int(struct.unpack(f"{self.order}I", raw[4:])[0])
        known = raw[4:16] in (_WAVE64_CHUNK, _WAVE64)
        return raw[:4] if known else b"\0", int(struct.unpack("<q", raw[16:])[0]) - self.head

    def padded(self, at: int) -> int:
        return -(-at // self.align) * self.align


def open_source(path: str | Path) -> Source:
    """Look at a file before libsndfile does. Raises UserError for what is missing, empty, cut, no file or no sound."""
    try:
        # Without O_NONBLOCK opening a FIFO would wait for somebody to write to it.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                raise UserError(f"{path} is no regular file.", "Move it out of the tree.")
            return _source(path, file, status.st_size)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {reason(error)}.") from None


def _source(path: str | Path, file: BinaryIO, size: int) -> Source:
    head = file.read(40)
    if not size:
        raise UserError(f"{path} is empty (0 bytes).", AGAIN)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _Wave(path, file, size, _Form(">" if head[:4] == b"RIFX" else "<", 8, 2), 12).source()
    if head[:16] == b"riff" + _WAVE64 and head[24:40] == b"wave" + _WAVE64_CHUNK:
        return _Wave(path, file, size, _Form("<", 24, 8), 40).source()
    if head[:4] == b"OggS":
        from asdcli.audio.ogg import check_pages

        check_pages(path, file)
        return Source(str(path))
    if head[:4] == b"fLaC":
        return Source(str(path))
    raise UserError(f"{path} is not a wav file, nor FLAC or OGG: it begins with {head[:12]!r}.")


class _Wave:
    """The chunks of a file of the RIFF family (RIFF, RIFX, RF64, BW64) or of Wave64."""

    def __init__(self, path: str | Path, file: BinaryIO, size: int, form: _Form, first: int) -> None:
        self.path, self.file, self.size, self.form = path, file, size, form
        self.regular = True  # whether libsndfile can read it as it is
        self.content: dict[bytes, bytes] = {}  # of the chunks before the samples that tell something of them
        self.at = first
        file.seek(0)
        self.magic = file.read(4)
        self.end = self._declared_end()

    def source(self) -> Source:
        start, declared = self._find_samples()
        if b"fmt " not in self.content or len(self.content[b"fmt "]) < 16:
            raise UserError(f"{self.path} does not say before its samples what form they have (no chunk `fmt `).")
        if b"ds64" in self.content and len(self.content[b"ds64"]) >= 16 and declared in (_ALL, 0):
            declared = struct.unpack("<Q", self.content[b"ds64"][8:16])[0]
        there = self._samples(start, declared)
        end = self.form.padded(start + there)
        trailing = self._is_chain(end, strict=True) if end < self.size else True
        regular = self.regular and self.magic in (b"RIFF", b"RIFX") and there == declared and trailing
        regular = regular and self.end in (self.size, self.size + 1)
        return Source(str(self.path) if regular else self._rewritten(start, there), self._frames())

    # --- before the samples ---------------------------------------------------------------------------------------

    def _declared_end(self) -> int:
        """Where the outermost size says that the file ends; 0 where it says nothing."""
        self.file.seek(4 if self.form.head == 8 else 16)
        if self.form.head == 24:
            return int(struct.unpack("<Q", self.file.read(8))[0])
        size = int(struct.unpack(f"{self.form.order}I", self.file.read(4))[0])
        if self.magic in (b"RF64", b"BW64") and size == _ALL:
            self.file.seek(12)
            raw = self.file.read(16)
            size = int(struct.unpack("<Q", raw[8:])[0]) if raw[:4] == b"ds64" and len(raw) == 16 else 0
        return size + 8 if size else 0

    def _find_samples(self) -> tuple[int, int]:
        """Where the samples begin, and the bytes that are declared of them."""
        while (chunk := self.form.read(self.file, self.at)) is not None:
            name, size = chunk
            start = self.at + self.form.head
            if name == b"data":
                return start, size
            if not _is_name(name) or not 0 <= size <= self.size - start:
                break
            if name in (b"fmt ", b"fact", b"ds64"):
                self.content[name] = self.file.read(size)
            self.at = self._after(start + size)
        raise UserError(f"{self.path} {self._no_samples(chunk)}", AGAIN)

    def _no_samples(self, chunk: tuple[bytes, int] | None) -> str:
        if self.end > self.size:
            return "is truncated: it ends before its samples begin."
        if chunk is None:
            return "holds no samples: none of its chunks is called `data`."
        name = chunk[0].decode("latin-1") if _is_name(chunk[0]) else repr(chunk[0])
        return f"is damaged: before its samples stands a chunk {name} that claims {chunk[1]} bytes."

    def _after(self, end: int) -> int:
        """The place of the next chunk: behind the padding, or where a program forgot it."""
        padded = self.form.padded(end)
        if padded == end:
            return end
        behind, at_once = (self.form.read(self.file, at) for at in (padded, end))
        forgotten = at_once is not None and at_once[0] in _CHUNKS and (behind is None or behind[0] not in _CHUNKS)
        self.regular = self.regular and not forgotten
        return end if forgotten else padded

    # --- the samples ----------------------------------------------------------------------------------------------

    def _samples(self, start: int, declared: int) -> int:
        """How many bytes of samples there are. Raises UserError where sizes and file allow no reading, or several."""
        there = self.size - start
        closed = bool(self.end) and (self.end - self.size) % (1 << 32) in (0, (1 << 32) - 1)
        if declared == there:
            return there
        if declared <= 0 and there and not (closed and self._is_chain(start)):
            return self._up_to_chunks(start, start)  # never closed by its recorder
        if declared > there:
            if closed or _is_open_ended(declared, there):
                return self._up_to_chunks(start, start)
            why = "is truncated" if self.end >= start + declared else "was never closed, or is cut"
            raise UserError(f"{self.path} {why}: {there} of its {declared} bytes of samples are there.", AGAIN)
        end = start + declared
        if any(self._is_chain(at) for at in dict.fromkeys((self.form.padded(end), end))):
            return self._with_last_frame(start, declared)
        if closed:  # the size wrapped, or was written once at the start: what follows is no chunk, so it is samples
            return self._up_to_chunks(start, end)
        if self._is_padding(end):
            return declared
        raise UserError(
            f"{self.path} declares {declared} bytes of samples, and {self.size - end} bytes that are no chunk follow.",
            "Two recordings in one file, or a header that was never brought up to date: export it again.",
        )

    def _with_last_frame(self, start: int, declared: int) -> int:
        """The bytes that are declared. Where they end within a frame that ends where the next chunk begins, the rest of
        that frame is no padding.
        """
        tag, _, _, _, block = struct.unpack(f"{self.form.order}HHIIH", self.content[b"fmt "][:14])
        padded = self.form.padded(start + declared) - start
        partial = tag in _PLAIN and block and declared % block and not padded % block
        return padded if partial and start + padded <= self.size else declared

    def _is_chain(self, at: int, strict: bool = False) -> bool:
        """Whether chunks follow from a place to the end of the file. The last one may be cut, but for `strict`."""
        while at < self.size - self.form.head + 1:
            name, size = self.form.read(self.file, at) or (b"", 0)
            if name == b"data" and size > 0:
                raise UserError(f"{self.path} holds its samples in more than one chunk.", "Export it again.")
            if name in (b"RIFF", b"RIFX", b"fmt ") or not _is_name(name) or size < 0:
                return False
            at = at + self.form.head + size
            if at > self.size:
                return name in _CHUNKS and not strict
            at = self._after(at)
        return at >= self.size or (not strict and self.size - at < self.form.align)

    def _up_to_chunks(self, start: int, at: int) -> int:
        """Bytes of samples from `start` up to the chunks that end the file, looked for from `at` on, or to its end."""
        self.file.seek(at)
        rest = self.file.read()
        for place in sorted(set(_places(rest, self.form.align if self.form.head == 24 else 1))):
            if self._is_chain(at + place, strict=True):
                return at + place - start
        return self.size - start

    def _is_padding(self, end: int) -> bool:
        """Whether nothing follows that could be sound: zeros, what fits into no chunk, or a tag of a player."""
        self.file.seek(end)
        rest = self.file.read()
        return self.end in (end, end + 1) and (
            len(rest) < self.form.head or not rest.strip(b"\0") or rest.startswith(_TAGS)
        )

    def _frames(self) -> int | None:
        """Of formats that come in blocks, the frames that are meant: the last block is padded."""
        tag = struct.unpack(f"{self.form.order}H", self.content[b"fmt "][:2])[0]
        fact = self.content.get(b"fact", b"")
        if tag in _PLAIN or len(fact) < 4:
            return None
        return int(struct.unpack(f"{self.form.order}I", fact[:4])[0]) or None

    def _rewritten(self, start: int, there: int) -> io.BytesIO:
        """The file as a plain RIFF whose sizes are right."""
        order = self.form.order
        self.file.seek(start)
        samples = self.file.read(there)
        chunks = [(name, self.content[name]) for name in (b"fmt ", b"fact") if name in self.content]
        before = b"".join(
            name + struct.pack(f"{order}I", len(text)) + text + b"\0" * (len(text) % 2) for name, text in chunks
        )
        total = len(before) + len(samples) + 12
        sizes = (total, len(samples)) if total < _ALL else (_ALL, _ALL)
        magic = b"RIFX" if order == ">" else b"RIFF"
        head = (
            magic + struct.pack(f"{order}I", sizes[0]) + b"WAVE" + before + b"data" + struct.pack(f"{order}I", sizes[1])
        )
        return io.BytesIO(head + samples)


def _is_open_ended(declared: int, there: int) -> bool:
    if _OPEN_ENDED_BYTES <= declared <= _ALL:
        return True
    return declared >= _PERHAPS_OPEN_BYTES and declared > _PERHAPS_OPEN_TIMES * there


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)


def _places(rest: bytes, align: int) -> Iterator[int]:
    """Where a chunk of a known name may begin."""
    for name in _CHUNKS - {b"data", b"fmt "}:
        at = rest.find(name)
        while at >= 0:
            if at % align == 0:
                yield at
            at = rest.find(name, at + 1)
