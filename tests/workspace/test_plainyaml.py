"""What strangers' YAML may hold, and what is refused: at once, with one kind of error."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from asdcli.workspace.plainyaml import MOST_CHARACTERS, YamlError, parse_yaml

LISTS = "\n".join(
    ["a0: &a0 [x,x,x,x,x,x,x,x,x]", *(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10))]
)
MERGES = "\n".join(["a0: &a0 {x: 1}", *(f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 10))])


@pytest.mark.parametrize(
    "text",
    [
        LISTS,
        MERGES,
        "a: " + "[" * 2000 + "]" * 2000,
        "{a: " * 2000 + "}" * 2000,
        "a: &a [*a]\n" + LISTS,
        "a: &a [*a]",
        "a" * (MOST_CHARACTERS + 1),
        'a: !!int ""',
        'a: !!float ""',
        "a: !!timestamp x",
        "a: !!bool x",
        "a: !!set [1]",
        "a: !!omap x",
        "a: !!binary é",
        "a: !!python/object:os.system x",
        "a: !nobody 1",
        'a: "\\U99999999"',
        "a: 2026-13-45",
        "a: " + "9" * 5000,
        "? [1, 2]\n: 3\n? {a: 1}\n: 2",
        "a: [1\nb: 2",
        "--- 1\n--- 2",
        "a: \x00",
    ],
)
def test_it_is_refused(text: str) -> None:
    with pytest.raises(YamlError) as raised:
        parse_yaml(text)
    assert "\n" not in str(raised.value)


@given(st.text(alphabet="ab:-[]{}&*!?|>%@'\" \n\t#,<1.~", max_size=60))
def test_any_text_is_data_or_refused(text: str) -> None:
    try:
        found = parse_yaml(text)[1]
    except YamlError:
        return
    assert found == yaml.safe_load(text) or found != found or "nan" in repr(found)


def test_plain_yaml_is_as_the_library_reads_it() -> None:
    text = "a: &b {x: 1, y: [2.5, null, yes]}\nc: {<<: *b, x: 3}\n"
    node, data = parse_yaml(text)
    assert data == yaml.safe_load(text)
    assert isinstance(node, yaml.MappingNode)
    assert parse_yaml("") == (None, None)
    with pytest.raises(YamlError) as raised:
        parse_yaml("a: 1\nb: [\n")
    assert raised.value.line == 3
