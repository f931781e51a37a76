"""Components of one's own: `./my_net.py:MyNet` wherever a recipe names a component, relative to its recipe.yaml."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from asdcli.errors import UserError, did_you_mean

_FORM = re.compile(r"([^:]+\.py):([^\W\d]\w*)")
_PREFIX = "asd_plugin_"
_modules: dict[tuple[Path, str], ModuleType] = {}  # by file and code: a file that was edited is loaded anew


@dataclass(frozen=True)
class Contract:
    """What asd relies on. supplied: the positional arguments it gives; members: attributes of the class; built: those
    of the object, or of what the function returns.
    """

    supplied: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    built: tuple[str, ...] = ()


CONTRACTS = {
    "front end": Contract((), ("frames", "forward"), ("n_features",)),
    "view": Contract(
        ("data", "rows", "device"),
        ("shape", "batch", "clip_examples", "needs_features", "embedding_options"),
        ("clips", "clip", "input_shape"),
    ),
    "model": Contract(("input_shape",), ("forward",)),
    "task": Contract(("model", "view"), ("forward", "embed", "learns_from_whole_clips"), ("model",)),
    "augment": Contract(("view",)),
    "sampler": Contract(("view", "examples", "batch_size"), ("epoch",), ("batches",)),
    "optimizer": Contract(("parameters",)),
    "schedule": Contract(),
    "pooling": Contract(),
    "threshold": Contract(("scores",)),
    "detector": Contract((), ("fit", "score", "score_bank")),
}


@dataclass(frozen=True)
class Plugin:
    """A class or function in a Python file."""

    file: Path
    name: str

    @classmethod
    def of(cls, written: str, folder: Path) -> Plugin | None:
        """What a recipe in `folder` means by a component's name; None if it is the name of one of asd's own."""
        form = _FORM.fullmatch(written)
        return cls(Path(os.path.abspath(folder / form[1])), form[2]) if form else None

    def sources(self) -> list[Path]:
        """The file and the local modules that it imports, directly or through each other, by path.

        Read, not run. Raises UserError for a file that cannot be read or is no Python.
        """
        found: dict[Path, None] = {}
        waiting = [self.file]
        while waiting:
            file = waiting.pop()
            if file not in found:
                found[file] = None
                waiting += _local_imports(file, self.file.parent)
        return sorted(found)

    def digest(self) -> str:
        """A hash of the code of all `sources`, wherever their folder lies."""
        named = [f"{os.path.relpath(file, self.file.parent)}\n{plain_code(file)}" for file in self.sources()]
        return hashlib.sha256("\0".join(named).encode()).hexdigest()[:20]

    def find(self) -> None:
        """Raise UserError if the file has no such class or function, as far as reading it tells; it is not run."""
        names = list(_top_level(_parsed(self.file)))
        if self.name not in names:
            hint = did_you_mean(self.name, names)
            raise UserError(f"{self.file} has no class or function '{self.name}'.{hint}")

    def load(self, kind: str) -> Callable[..., Any]:
        """Run the file and take the class or function from it, once for the same code.

        Raises UserError if it cannot be run, or does not have what a component of this kind must have.
        """
        key = self.file, self.digest()
        if key not in _modules:
            _modules[key] = _run(self.file)
        target = getattr(_modules[key], self.name, None)
        if not callable(target):
            self.find()
            raise UserError(f"{self.file}: '{self.name}' is no class or function.")
        self._check(kind, target)
        return target

    def check_built(self, kind: str, built: Any) -> None:
        """Raise UserError if an object of this plug-in lacks what the program reads of it."""
        for name in CONTRACTS[kind].built:
            if not hasattr(built, name):
                raise UserError(f"{self.file}: {self.name} is used as a {kind}, but has no '{name}'.", _SEE)

    def _check(self, kind: str, target: Callable[..., Any]) -> None:
        contract = CONTRACTS[kind]
        given = [p for p in inspect.signature(target).parameters.values() if p.kind is not p.KEYWORD_ONLY]
        open_ended = any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in given)
        if open_ended or len(given) != len(contract.supplied):
            wanted = ", ".join([*contract.supplied, "*", "..."])
            raise UserError(
                f"{self.file}: {self.name} is used as a {kind}, so its parameters are ({wanted}), of which a recipe "
                f"may set those after the *; now they are {inspect.signature(target)}.",
                _SEE,
            )
        if missing := [name for name in contract.members if inspect.isclass(target) and not hasattr(target, name)]:
            raise UserError(f"{self.file}: {self.name} is used as a {kind}, but has no '{missing[0]}'.", _SEE)


_SEE = "docs/extending.md has an example of each kind."


def plain_code(file: Path) -> str:
    """The code of a file without comments, docstrings and layout."""
    tree = _parsed(file)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes())
    except OSError as error:
        raise UserError(
            f"{file}: {error.strerror}.", "A recipe names it as FILE.py:NAME, from its own folder."
        ) from None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise UserError(f"{file}:{line}: this is no Python: {getattr(error, 'msg', error)}.") from None


def _top_level(module: ast.Module) -> Iterator[str]:
    """Names that a file defines or imports."""
    for node in module.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _local_imports(file: Path, folder: Path) -> Iterator[Path]:
    """Files below `folder` that a file imports, with the packages they are in."""
    for node in ast.walk(_parsed(file)):
        if isinstance(node, ast.Import):
            base, names = folder, [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = file.parents[node.level - 1] if node.level else folder
            within = f"{node.module}." if node.module else ""
            names = [f"{within}{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            for depth in range(1, len(parts) + 1):
                place = base.joinpath(*parts[:depth])
                yield from filter(Path.is_file, (place.with_name(f"{place.name}.py"), place / "__init__.py"))


def _run(file: Path) -> ModuleType:
    mark = hashlib.sha256(str(file).encode()).hexdigest()[:8]
    spec = importlib.util.spec_from_file_location(f"{_PREFIX}{mark}_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise UserError(f"{file} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    with _imports_from(file.parent):
        try:
            sys.modules[spec.name] = module  # dataclasses look themselves up there
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            at = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(file.parent)]
            where = f"{at[-1].filename}:{at[-1].lineno}" if at else str(file)
            raise UserError(f"{where}: {type(error).__name__}: {error}", "The recipe runs this file.") from error
    return module


@contextmanager
def _imports_from(folder: Path) -> Iterator[None]:
    """Local modules are found while a file is run, and forgotten afterwards: two recipes may each have a layers.py.

    Nothing compiled is written there or kept: it would be told from the source by whole seconds alone.
    """
    before, writes = set(sys.modules), sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.dont_write_bytecode = writes
        for name in set(sys.modules) - before:
            origin = getattr(sys.modules[name], "__file__", None)
            if origin and not name.startswith(_PREFIX) and Path(origin).is_relative_to(folder):
                del sys.modules[name]
