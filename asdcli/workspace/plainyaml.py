"""YAML from strangers: read as plain data within a second, or refused in a sentence."""

from __future__ import annotations

from typing import Any

import yaml

MOST_CHARACTERS = 100_000  # the largest recipe here has 6,000; the parser reads some 200,000 in a second
MOST_VALUES = 50_000  # with every alias written out


class YamlError(ValueError):
    """A text that is no YAML, or none that anybody would write; `line` is 0 where it has none."""

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(problem)
        self.line = line


def parse_yaml(text: str) -> tuple[yaml.Node | None, Any]:
    """The document as nodes that know their line, and as plain data. Raises YamlError."""
    if len(text) > MOST_CHARACTERS:
        raise YamlError(f"{len(text):,} characters are far too many")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            return None, None
        if _size(node, {}) > MOST_VALUES:
            raise YamlError("written out, its aliases (*) are far too many values")
        if "<<" in text:  # merged keys are written into the nodes, so the data are made of others
            return node, yaml.safe_load(text)
        return node, yaml.SafeLoader("").construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(error.problem or error.context or "damaged", mark.line + 1 if mark else 0) from error
    except YamlError:
        raise
    except RecursionError:
        raise YamlError("it is nested too deeply, or an alias (*) stands inside its own anchor (&)") from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
        problem = str(error).splitlines()[0] if isinstance(error, yaml.YAMLError | ValueError) else ""
        raise YamlError(problem or "a value does not fit its tag (!!)") from error


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Values in a node with its aliases written out; each node is looked at once."""
    if id(node) not in known:
        children = node.value if isinstance(node, yaml.SequenceNode) else ()
        if isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_size(child, known) for child in children)
    return known[id(node)]
