"""Zips that nobody should trust."""

from __future__ import annotations

import io
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from helpers import tree_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from server import make_zip

from asdcli.download import archives
from asdcli.download.archives import DamagedError, UnsafeError, below, unpack
from asdcli.errors import WorkError

GOOD = {"fan/train/a.wav": b"sound" * 100, "fan/attributes_00.csv": b"file_name\n", "fan/test/b.wav": b"more"}


def write(folder: Path, data: bytes) -> Path:
    path = folder / "some.zip"
    path.write_bytes(data)
    return path


def linked_zip(kind: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("fan/train/link.wav")
        info.create_system, info.external_attr = 3, (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_good_zip(tmp_path: Path, method: int) -> None:
    said: list[int] = []
    done = unpack(write(tmp_path, make_zip(GOOD, method)), tmp_path / "out", below("fan"), said.append)
    assert tree_bytes(tmp_path / "out") == {name.removeprefix("fan/"): data for name, data in GOOD.items()}
    assert (done.entries, done.files, done.left_out) == (("attributes_00.csv", "test", "train"), 3, ())
    assert said[-1] == done.size == sum(map(len, GOOD.values()))


def test_what_is_not_the_machine_is_left_out(tmp_path: Path) -> None:
    extra = {"README.txt": b"x", "pump/train/c.wav": b"x", "fan/": b"", "__MACOSX/fan/._a": b"x", "fan/.DS_Store": b"x"}
    done = unpack(write(tmp_path, make_zip({**GOOD, **extra})), tmp_path / "out", below("fan"))
    assert done.files == 3
    assert done.left_out == ("README.txt", "pump/train/c.wav")


def test_a_folder_around_the_machine_is_taken_off(tmp_path: Path) -> None:
    files = {f"dev_data/raw/{name}": data for name, data in GOOD.items()}
    unpack(write(tmp_path, make_zip(files)), tmp_path / "out", below("fan"))
    assert (tmp_path / "out" / "train" / "a.wav").is_file()


@pytest.mark.parametrize(
    "name",
    [
        "../evil.wav",
        "fan/../../evil.wav",
        "fan/train/../../../evil.wav",
        "/etc/evil.wav",
        "//fan/evil.wav",
        "fan//evil.wav",
        "./fan/train/evil.wav",
        "fan\\..\\..\\evil.wav",
        "C:/fan/evil.wav",
        "fan/train/evil.wav\0.txt",
        "..",
        "",
    ],
)
def test_paths_that_lead_outside(tmp_path: Path, name: str) -> None:
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for good, contents in GOOD.items():
            archive.writestr(good, contents)
        archive.writestr(info, b"evil")
    with pytest.raises(UnsafeError, match="leads outside"):
        unpack(write(tmp_path, buffer.getvalue()), tmp_path / "in" / "out", below("fan"))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["some.zip"]


@pytest.mark.parametrize("kind", [0o120000, 0o010000, 0o060000, 0o020000])
def test_links_and_devices(tmp_path: Path, kind: int) -> None:
    with pytest.raises(UnsafeError, match="link or device"):
        unpack(write(tmp_path, linked_zip(kind)), tmp_path / "out", below("fan"))
    assert not (tmp_path / "out").exists()


def test_a_bomb_by_its_own_listing(tmp_path: Path) -> None:
    bomb = make_zip({"fan/train/a.wav": bytes(20_000_000)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(UnsafeError, match="claims to hold 20000000"):
        unpack(write(tmp_path, bomb), tmp_path / "out", below("fan"))
    assert not (tmp_path / "out").exists()


def test_a_bomb_that_lists_less_than_it_holds(tmp_path: Path) -> None:
    """The listing says 1000 bytes; the stream inflates to 20 MB. No more than 1000 may reach the disk."""
    bomb = make_zip({"fan/train/a.wav": bytes(20_000_000)}, zipfile.ZIP_DEFLATED)
    assert bomb.count(struct.pack("<L", 20_000_000)) == 2
    bomb = bomb.replace(struct.pack("<L", 20_000_000), struct.pack("<L", 1000))
    with pytest.raises(DamagedError, match="CRC"):
        unpack(write(tmp_path, bomb), tmp_path / "out", below("fan"))
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file()) <= 1000


def test_overlapping_members(tmp_path: Path) -> None:
    """Many entries of one listing that share a body (the quilted bomb) are twice the same file or damaged."""
    packed = make_zip({"fan/train/a.wav": b"x" * 1000})
    end = packed.rindex(b"PK\5\6")
    start = packed.index(b"PK\1\2")
    entry = packed[start:end]
    count = 50
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(entry) * count, start, 0)
    with pytest.raises(UnsafeError, match="twice"):
        unpack(write(tmp_path, packed[:start] + entry * count + tail), tmp_path / "out", below("fan"))


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_FILES", 2)
    with pytest.raises(UnsafeError, match="lists 3 files"):
        unpack(write(tmp_path, make_zip(GOOD)), tmp_path / "out", below("fan"))


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(WorkError, match="GB free"):
        unpack(write(tmp_path, make_zip(GOOD)), tmp_path / "out", below("fan"))


def test_an_encrypted_zip_and_an_unknown_method(tmp_path: Path) -> None:
    plain = make_zip(GOOD)
    for old, new in ((b"\x14\0\0\0\0\0", b"\x14\0\1\0\0\0"), (b"\x14\0\0\0\0\0", b"\x14\0\0\0\x63\0")):
        with pytest.raises(DamagedError):
            unpack(write(tmp_path, plain.replace(old, new)), tmp_path / f"out{new[2]}{new[4]}", below("fan"))


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, len(make_zip(GOOD, zipfile.ZIP_DEFLATED)) - 1))
def test_a_truncated_zip_is_damaged(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("cut")
    with pytest.raises(DamagedError):
        unpack(write(folder, make_zip(GOOD, zipfile.ZIP_DEFLATED)[:cut]), folder / "out", below("fan"))


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, len(make_zip(GOOD)) - 1), value=st.integers(0, 255))
def test_one_wrong_byte_never_writes_elsewhere(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    """Whatever a byte is changed to, it is an error of ours or a harmless change, and nothing lands outside."""
    folder = tmp_path_factory.mktemp("byte")
    data = bytearray(make_zip(GOOD))
    data[position] = value
    with suppress(WorkError):
        unpack(write(folder, bytes(data)), folder / "out", below("fan"))
    assert {path.name for path in folder.iterdir()} <= {"some.zip", "out"}


def test_a_name_that_is_not_in_the_encoding_it_claims(tmp_path: Path) -> None:
    data = make_zip({"fan/train/ä.wav": b"x"}).replace("ä".encode(), b"\xff\xfe")
    with pytest.raises(DamagedError, match="cannot be unpacked"):
        unpack(write(tmp_path, data), tmp_path / "out", below("fan"))
