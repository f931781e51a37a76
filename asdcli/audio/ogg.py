"""The pages of an OGG file: libsndfile leaves out what is damaged or cut, so they are looked at first (RFC 3533)."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from asdcli.errors import UserError

_FIRST, _LAST = 2, 4  # flags of a page
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def check_pages(path: str | Path, file: BinaryIO) -> None:
    """Every page whole and in its turn, from the first to the last of one stream. Raises UserError."""
    file.seek(0)
    content = file.read()
    at, turn, serial, flags = 0, 0, b"", 0
    while at < len(content):
        head = content[at : at + 27]
        sizes = content[at + 27 : at + 27 + head[26]] if len(head) == 27 else b""
        end = at + 27 + len(sizes) + sum(sizes)
        if len(head) < 27 or len(sizes) < head[26] or end > len(content):
            raise UserError(f"{path} is truncated: its last page is not whole.", "Copy or download it again.")
        if head[:4] != b"OggS" or struct.unpack("<I", head[22:26])[0] != _crc(content[at:end]):
            raise UserError(f"{path} is damaged: page {turn} is not what was written.", "Copy or download it again.")
        if turn and (head[14:18] != serial or head[5] & _FIRST):
            raise UserError(f"{path} holds more than one stream.", "Export it again as one.")
        if struct.unpack("<I", head[18:22])[0] != turn:
            raise UserError(f"{path} is damaged: page {turn} is missing.", "Copy or download it again.")
        at, turn, serial, flags = end, turn + 1, head[14:18], head[5]
    if not flags & _LAST:
        raise UserError(f"{path} was never closed, or is cut: its last page is missing.", "Copy or download it again.")


def _crc(page: bytes) -> int:
    """OGG's checksum: the polynomial of zlib's, but with the bits of every byte the other way round."""
    zeroed = page[:22] + bytes(4) + page[26:]
    raw = zlib.crc32(zeroed.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{raw:032b}"[::-1], 2)
