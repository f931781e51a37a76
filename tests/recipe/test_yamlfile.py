"""YAML with places: where each value stands, what is refused, and how documents are laid over one another."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from asdcli.errors import UserError
from asdcli.recipe.yamlfile import KeyPath, Sourced, load_yaml

KEY = st.text("abcdxyz", min_size=1, max_size=3)
LEAF = st.none() | st.integers() | st.text("pqr", max_size=3) | st.lists(st.integers(), max_size=2)
TREE = st.dictionaries(
    KEY, st.recursive(LEAF, lambda inner: st.dictionaries(KEY, inner, max_size=3), max_leaves=8), max_size=4
)


def load(tmp_path: Path, text: str | bytes) -> Sourced:
    path = tmp_path / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_yaml(path)


def leaves(tree: dict[str, Any], above: KeyPath = ()) -> dict[KeyPath, Any]:
    """Everything in a tree that is no filled mapping, by key path."""
    found = {}
    for key, value in tree.items():
        found |= leaves(value, (*above, key)) if isinstance(value, dict) and value else {(*above, key): value}
    return found


def at(tree: Any, path: KeyPath) -> Any:
    """The value there; None where there is none."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


# --- reading --------------------------------------------------------------------------------------------------------

TEXT = """\
one: 1
two: {deep: [1, 2], other: x}
three: &shared
  left: 1
  right:
    far: 2
four: *shared
five:
  - {a: 1}
  - a: 2
    b: 3
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("one",), 1),
        (("two", "deep"), 2),
        (("three", "right", "far"), 6),
        (("four",), 7),
        (("four", "right", "far"), 6),  # an alias stands where its anchor stands
        (("five", "1", "b"), 11),
        (("two", "missing", "deeper"), 2),  # the nearest key above
    ],
)
def test_every_value_knows_its_line(tmp_path: Path, path: KeyPath, line: int) -> None:
    assert load(tmp_path, TEXT).place(path) == f"{tmp_path / 'a.yaml'}, line {line}"


def test_an_alias_has_the_value_of_its_anchor(tmp_path: Path) -> None:
    document = load(tmp_path, TEXT)
    assert document.data == yaml.safe_load(TEXT)
    assert document.data["four"] == {"left": 1, "right": {"far": 2}}


def test_the_document_as_a_whole_stands_in_its_file(tmp_path: Path) -> None:
    document = load(tmp_path, TEXT)
    assert document.place(("missing",)) == document.place(()) == str(tmp_path / "a.yaml")


def test_merge_keys_are_understood(tmp_path: Path) -> None:
    document = load(tmp_path, "base: &b {x: 1, y: 2}\ntop:\n  <<: *b\n  y: 3\n")
    assert document.data["top"] == {"x": 1, "y": 3}
    assert document.place(("top", "y")).endswith("line 4")
    assert document.place(("top", "x")).endswith("line 2")


@given(TREE)
def test_what_was_dumped_is_loaded_with_the_line_of_every_key(tree: dict[str, Any]) -> None:
    text = yaml.safe_dump(tree, default_flow_style=False, allow_unicode=True)
    with tempfile.TemporaryDirectory() as folder:
        document = load(Path(folder), text)
        assert document.data == tree
        for path in leaves(tree):
            number = int(document.place(path).rpartition(" ")[2])
            key = yaml.safe_load(text.splitlines()[number - 1].partition(":")[0].strip() or "''")
            assert str(key) == path[-1]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' stands twice"),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", 4, "the key 'b' stands twice"),
        ("a:\n  - x: 1\n    x: 2\n", 3, "the key 'x' stands twice"),
        ("a: [1, 2\nb: 3\n", 2, "not valid YAML"),
        ("a: 1\n\tb: 2\n", 2, "not valid YAML"),
        ("a: 1\nb: *nothing\n", 2, "not valid YAML: found undefined alias"),
        ("a: 1\nb: !python/object:os.system {}\n", 2, "not valid YAML: could not determine a constructor"),
        ("a: 1\n? [b, c]\n: 2\n", 2, "not valid YAML: found unhashable key"),
        ("a: 1\n---\nb: 2\n", 2, "not valid YAML: but found another document"),
        ("a: 1\n2020: x\n", 2, "the key 2020 is not text to YAML; put it in quotes"),
        ("a:\n  yes: x\n", 2, "the key yes is not text"),
        ("a: 1\nb: 2026-13-45\n", None, "not valid YAML: month must be in 1..12"),
        ("a: \x00\n", None, "not valid YAML: unacceptable character"),
        ("a: é\n".encode("latin-1"), None, "not valid YAML: 'utf-8' codec"),
        ("a: &x {b: *x}\n", None, r"an alias \(\*\) stands inside its own anchor"),
        ("- a\n- b\n", None, "expected a mapping"),
        ("just words\n", None, "expected a mapping"),
        ("", None, "expected a mapping"),
    ],
)
def test_broken_files_are_refused_in_one_line(tmp_path: Path, text: str | bytes, line: int | None, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        load(tmp_path, text)
    place = f"{tmp_path / 'a.yaml'}" + (f", line {line}: " if line else ": ")
    assert str(caught.value).startswith(place)
    assert "\n" not in str(caught.value)


def test_keys_that_look_like_numbers_are_text_in_quotes(tmp_path: Path) -> None:
    assert load(tmp_path, "'00': 1\n\"2020\": 2\n").data == {"00": 1, "2020": 2}


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="Cannot read") as caught:
        load_yaml(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


# --- parts ----------------------------------------------------------------------------------------------------------


def test_below_is_a_document_with_the_same_places(tmp_path: Path) -> None:
    document = load(tmp_path, TEXT)
    part = document.below("four", "right")
    assert part.data == {"far": 2}
    assert part.place(("far",)) == document.place(("four", "right", "far"))
    assert part.place(()) == document.place(("four", "right"))


@pytest.mark.parametrize("path", [("missing",), ("one",), ("one", "deeper"), ("four", "missing"), ("five",), ("",)])
def test_below_what_is_no_mapping_is_nothing(tmp_path: Path, path: KeyPath) -> None:
    assert load(tmp_path, TEXT).below(*path).data == {}


def test_without_forgets_keys_and_their_places(tmp_path: Path) -> None:
    document = load(tmp_path, TEXT).without("four", "two")
    assert list(document.data) == ["one", "three", "five"]
    assert document.place(("four", "left")) == document.place(("two",)) == str(tmp_path / "a.yaml")
    assert document.place(("three", "left")).endswith("line 4")


# --- overlays -------------------------------------------------------------------------------------------------------


@given(TREE)
def test_nothing_laid_over_changes_nothing(tree: dict[str, Any]) -> None:
    assert Sourced(tree).overlaid(Sourced({})).data == tree
    assert Sourced({}).overlaid(Sourced(tree)).data == tree
    assert Sourced(tree).overlaid(Sourced(tree)).data == tree


@given(TREE, TREE)
@example({"a": {"b": {"c": 1}}}, {"a": {"b": None}})
def test_an_overlay_says_what_differs_and_the_rest_stays(base: dict[str, Any], top: dict[str, Any]) -> None:
    before = copy.deepcopy((base, top))
    merged = Sourced(base).overlaid(Sourced(top)).data
    assert (base, top) == before
    above = {path[:length] for path in leaves(top) for length in range(1, len(path) + 1)}
    for path, value in leaves(top).items():
        if value != {}:  # an empty mapping laid over another changes nothing
            assert at(merged, path) == value
    for path, value in leaves(base).items():
        touched = path in above or any(path[:length] in leaves(top) for length in range(1, len(path)))
        if not touched:
            assert at(merged, path) == value
    emptied = {path[:length] for path in leaves(base) for length in range(1, len(path))}  # by a null inside
    assert set(leaves(merged)) <= set(leaves(base)) | set(leaves(top)) | emptied
    for path, value in leaves(top).items():
        if value is None and isinstance(at(base, path), dict):
            assert path[-1] not in (at(merged, path[:-1]) or {})


@given(TREE, TREE)
@example({"a": {"b": {"c": 1}}}, {"a": {"b": None}})
def test_a_value_of_the_result_stands_where_its_layer_says(base: dict[str, Any], top: dict[str, Any]) -> None:
    layers = [
        Sourced(tree, {path[:n]: f"{name} {path[:n]}" for path in leaves(tree) for n in range(1, len(path) + 1)})
        for name, tree in (("base", base), ("top", top))
    ]
    merged = layers[0].overlaid(layers[1])
    for path in leaves(top):
        assert merged.place(path) == f"top {path}"
    for path in leaves(merged.data):
        if path not in layers[1].places:
            assert merged.place(path) == f"base {path}"


def test_another_component_replaces_the_old_one_whole() -> None:
    base = Sourced({"model": {"name": "one", "width": 3}, "epochs": 1})
    merged = base.overlaid(Sourced({"model": {"name": "two", "depth": 4}}))
    assert merged.data == {"model": {"name": "two", "depth": 4}, "epochs": 1}


def test_the_same_component_keeps_its_other_parameters() -> None:
    base = Sourced({"model": {"name": "one", "width": 3}})
    for top in ({"depth": 4}, {"name": "one", "depth": 4}):
        assert base.overlaid(Sourced({"model": top})).data == {"model": {"name": "one", "width": 3, "depth": 4}}


def test_null_takes_a_mapping_away_and_other_values_are_replaced() -> None:
    base = Sourced({"phases": {"first": {"epochs": 1}, "second": {}}, "epochs": 1, "freeze": ["a", "b"]})
    merged = base.overlaid(Sourced({"phases": {"second": None}, "epochs": None, "freeze": ["c"]}))
    assert merged.data == {"phases": {"first": {"epochs": 1}}, "epochs": None, "freeze": ["c"]}


def test_what_is_missing_everywhere_is_missing_in_the_base(tmp_path: Path) -> None:
    top = load(tmp_path, "a: {b: 1}\n").below("a")
    assert Sourced({}, {(): "base.yaml"}).overlaid(top).place(("missing",)) == "base.yaml"
