"""YAML files whose values remember the line they came from, and overlays of one on another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from asdcli.errors import UserError
from asdcli.workspace.plainyaml import YamlError, parse_yaml

KeyPath = tuple[str, ...]

_TEXT_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")


@dataclass(frozen=True)
class Sourced:
    """Plain data and, for each key path in it, `file, line n` where its value stands; `()` is the whole of it."""

    data: dict[str, Any]
    places: dict[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """Where the value at `path` stands, or the nearest key above it that is known."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, "")

    def below(self, *path: str) -> Sourced:
        """The mapping under `path` as a document of its own; empty when there is none."""
        data: Any = self.data
        for key in path:
            data = data.get(key) if isinstance(data, dict) else None
        places = {key[len(path) :]: place for key, place in self.places.items() if key[: len(path)] == path}
        return Sourced(data if isinstance(data, dict) else {}, places)

    def without(self, *keys: str) -> Sourced:
        return Sourced(
            {key: value for key, value in self.data.items() if key not in keys},
            {path: place for path, place in self.places.items() if not path or path[0] not in keys},
        )

    def renamed(self, old: str, new: str) -> Sourced:
        """This document with its key `old` called `new`."""
        places = {(new, *path[1:]) if path[:1] == (old,) else path: place for path, place in self.places.items()}
        return Sourced({new if key == old else key: value for key, value in self.data.items()}, places)

    def overlaid(self, top: Sourced) -> Sourced:
        """This document with `top` laid over it: mappings merge, everything else is replaced, and null in the place of
        a mapping takes it away.

        A mapping that names another component (`name:` differs), or `branches:` in the place of one or the other way
        round, replaces the old one whole, since the parameters of one component mean nothing to another.
        """
        return Sourced(_merge(self.data, top.data), {**self.places, **top.places, (): self.place(())})


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    if "name" in top and ("branches" in base or top["name"] != base.get("name", top["name"])):
        return top
    if "branches" in top and "name" in base:
        return top
    merged = dict(base)
    for key, value in top.items():
        old = merged.get(key)
        if isinstance(old, dict) and value is None:
            del merged[key]
        else:
            merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def load_yaml(path: Path) -> Sourced:
    """Read one YAML mapping. Duplicate keys, syntax errors and anything but a mapping are errors with a line."""
    try:
        node, data = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from error
    except ValueError as error:  # YamlError, or not UTF-8
        line = f", line {error.line}" if isinstance(error, YamlError) and error.line else ""
        raise UserError(f"{path}{line}: not valid YAML: {error}.") from error
    if not isinstance(node, yaml.MappingNode):
        raise UserError(f"{path}: expected a mapping of keys to values.")
    lines = list(_lines(node, (), path))
    return Sourced(data, {(): str(path), **{key: f"{path}, line {line}" for key, line in lines}})


def _lines(node: yaml.Node, above: KeyPath, path: Path) -> Iterator[tuple[KeyPath, int]]:
    """Every key path below `node` with its line; an item of a list has its number as key."""
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield (*above, str(number)), item.start_mark.line + 1
            yield from _lines(item, (*above, str(number)), path)
    if isinstance(node, yaml.MappingNode):
        yield from _key_lines(node, above, path)


def _key_lines(node: yaml.MappingNode, above: KeyPath, path: Path) -> Iterator[tuple[KeyPath, int]]:
    seen = set()
    for key_node, value in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key_node.tag not in _TEXT_TAGS:
            raise UserError(f"{path}, line {line}: the key {key} is not text to YAML; put it in quotes.")
        if key in seen:
            raise UserError(f"{path}, line {line}: the key '{key}' stands twice.")
        seen.add(key)
        yield (*above, key), line
        yield from _lines(value, (*above, key), path)
