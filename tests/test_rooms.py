"""Imports point one way: from the command line down to the workspace, as docs/design.md draws it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import REPOSITORY

PACKAGE = REPOSITORY / "asdcli"
# From the top floor down; rooms of one floor do not know each other.
FLOORS = [
    {"cli"},
    {"stages"},
    {"training", "scores", "download"},
    {"detection", "nn"},
    {"audio"},
    {"challenge", "recipe"},
    {"workspace"},
    {"errors", "ui"},
]


def floor(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def imports(path: Path) -> set[str]:
    """The modules of ours that a file imports anywhere, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("asdcli"):
            found |= (
                {node.module or ""} if node.module != "asdcli" else {f"asdcli.{alias.name}" for alias in node.names}
            )
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("asdcli.")}
    return found


def arrows() -> set[tuple[str, str, str]]:
    """Room, file and imported room, for every import between rooms."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for module in imports(path):
            there = module.split(".")[1]
            if there != here and not here.startswith("__"):
                found.add((here, str(path.relative_to(PACKAGE)), there))
    return found


def test_every_room_has_a_floor() -> None:
    rooms = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert {room for room in rooms if not room.startswith("__") and room != "py.typed"} == set().union(*FLOORS)


@pytest.mark.parametrize("room", sorted(set().union(*FLOORS)))
def test_a_room_imports_only_from_floors_below(room: str) -> None:
    assert not [(file, there) for here, file, there in arrows() if here == room and floor(there) <= floor(here)]


def test_the_map_of_the_code_names_every_room() -> None:
    table = (REPOSITORY / "docs" / "design.md").read_text()
    named = set(re.findall(r"^\| `(\w+)/", table, re.MULTILINE))
    assert named == {path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("__")}


def test_without_networks_nothing_heavy_is_imported() -> None:
    light = ("challenge", "recipe", "workspace", "scores", "download")
    files = [path.relative_to(REPOSITORY).with_suffix("") for room in light for path in (PACKAGE / room).rglob("*.py")]
    modules = [".".join(path.parts).removesuffix(".__init__") for path in files]
    code = f"import sys, importlib\nfor name in {modules}: importlib.import_module(name)\n"
    code += "print(sorted({'torch', 'scipy', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.stdout.strip() == "[]", done.stderr
