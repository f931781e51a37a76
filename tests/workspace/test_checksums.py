"""Size and checksums of files, against the standard library's own."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asdcli.workspace.checksums import BLOCK, Digests, mismatch, remembered_sha256


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_a_stream_in_pieces_is_the_same_as_the_file(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    right = {name: hashlib.new(name, whole).hexdigest().upper() for name in ("md5", "sha256")}
    digests = Digests(right)
    for piece in pieces:
        digests.update(piece)
    assert digests.mismatch(right) == ""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(whole)
        assert mismatch(Path(file.name), len(whole), right) == mismatch(Path(file.name), None, right) == ""
        assert mismatch(Path(file.name), len(whole) + 1, right) == f"{len(whole)} bytes instead of {len(whole) + 1}"


def test_every_wrong_checksum_is_told(tmp_path: Path) -> None:
    data = bytes(BLOCK + 1)
    (tmp_path / "x").write_bytes(data)
    right = {"md5": hashlib.md5(data).hexdigest(), "sha256": "0" * 64}
    assert mismatch(tmp_path / "x", None, right) == (f"sha256 {hashlib.sha256(data).hexdigest()} instead of {'0' * 64}")
    assert mismatch(tmp_path / "x", None, {}) == ""


def test_a_file_is_read_again_only_when_it_looks_different(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, memory = tmp_path / "weights.pt", tmp_path / "memory.json"
    assert remembered_sha256(file, memory) == ""
    file.write_bytes(b"one")
    first = remembered_sha256(file, memory)
    assert first == hashlib.sha256(b"one").hexdigest()
    read = []
    plain = Digests.read
    monkeypatch.setattr(Digests, "read", lambda self, path: read.append(path) or plain(self, path))
    assert remembered_sha256(file, memory) == first
    assert read == []
    file.write_bytes(b"two")
    assert remembered_sha256(file, memory) == hashlib.sha256(b"two").hexdigest()
    assert read == [file]
    for broken in (b"", b"[5]", b"{", b'{"x": 5}'):
        memory.write_bytes(broken)
        assert remembered_sha256(file, memory) == hashlib.sha256(b"two").hexdigest()
