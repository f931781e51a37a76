"""Digests and freshness."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import asdcli
from asdcli.workspace.made import Made, digest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def reversed_keys(value: object) -> object:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


@given(JSON)
def test_a_digest_does_not_depend_on_the_order_of_keys(value: object) -> None:
    assert digest(value) == digest(reversed_keys(value))


@given(JSON, JSON)
def test_different_values_have_different_digests(one: object, other: object) -> None:
    assert (digest(one) == digest(other)) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


def test_a_digest_does_not_know_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest({"recipe": 1})
    assert before != digest({"recipe": 2})
    monkeypatch.setattr(asdcli, "__version__", "0.0.0")
    assert digest({"recipe": 1}) == before


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A folder with two parts, one of which has a file."""
    (tmp_path / "weights").touch()
    made = Made(tmp_path)
    made.write("abc", ["weights"], "one", seed=3)
    made.write("def", [], "two")
    return made


def test_fresh_is_what_was_made_from_exactly_this(made: Made) -> None:
    assert made.is_fresh("abc", "one")
    assert made.is_fresh("def", "two")
    assert not made.is_fresh("def", "one")
    assert not made.is_fresh("abc", "three")
    assert not made.is_fresh("abc")
    assert made.fingerprint("one") == "abc"
    assert made.fingerprint("three") is None
    entry = made.read()["one"]
    assert list(entry.pop("written")) == ["weights"]
    assert entry == {"fingerprint": "abc", "files": ["weights"], "asd": asdcli.__version__, "seed": 3}


def test_a_missing_file_makes_its_part_stale_and_no_other(made: Made) -> None:
    (made.folder / "weights").unlink()
    assert not made.is_fresh("abc", "one")
    assert made.is_fresh("def", "two")
    (made.folder / "weights").mkdir()  # a folder is no file
    assert not made.is_fresh("abc", "one")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"one": 1}'])
def test_a_broken_word_is_stale_and_can_be_written_again(made: Made, content: bytes) -> None:
    made.path.write_bytes(content)
    assert not made.is_fresh("abc", "one")
    assert made.fingerprint("one") is None
    made.write("abc", ["weights"], "one")
    assert made.is_fresh("abc", "one")


def test_nothing_is_fresh_where_nothing_was_made(tmp_path: Path) -> None:
    assert not Made(tmp_path / "nowhere").is_fresh("abc")


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: bytes(len(data)), lambda data: b"\1" + data[1:]]
)
def test_a_file_of_other_bytes_is_not_fresh_and_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    made, path = Made(tmp_path), tmp_path / "weights"
    path.write_bytes(b"content")
    made.write("abc", ["weights"])
    assert (made.is_fresh("abc"), made.damaged("abc")) == (True, "")
    path.write_bytes(damage(b"content"))
    assert (made.is_fresh("abc"), made.damaged("abc")) == (False, "weights")
    assert made.damaged("other") == ""
    made.forget("all")
    assert made.read() == {}


def test_a_copied_file_is_fresh(tmp_path: Path) -> None:
    made, path = Made(tmp_path), tmp_path / "weights"
    path.write_bytes(b"content")
    made.write("abc", ["weights"])
    path.unlink()
    path.write_bytes(b"content")
    assert made.is_fresh("abc")


@pytest.mark.parametrize(
    "text",
    [
        *("[5]", '{"all": 5}', '{"all": {"files": [5], "fingerprint": "abc"}}', '{"all": {"fingerprint": 5}}'),
        *('{"all": {"fingerprint": "abc", "files": [], "written": [5]}}', "", "\0", "[" * 100_000),
    ],
    ids=range(8),
)
def test_damaged_notes_are_as_if_never_made(tmp_path: Path, text: str) -> None:
    made = Made(tmp_path)
    made.path.write_text(text)
    assert (made.read(), made.fingerprint(), made.is_fresh("abc")) == ({}, None, False)
