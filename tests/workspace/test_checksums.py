"""Size and checksums of files, against the standard library's own."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from asdcli.workspace.checksums import BLOCK, Digests, mismatch


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
