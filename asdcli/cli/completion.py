"""What a shell may complete: names of recipes, members, profiles, data sets and machines. Nothing heavy is imported.

typer asks these functions; what cannot be found out is no completion, and never an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import wraps
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from asdcli.cli.console import default_root
from asdcli.errors import AsdError

if TYPE_CHECKING:
    from asdcli.recipe.loading import Recipe
    from asdcli.workspace.places import Workspace

Names = Callable[[typer.Context], Iterable[str]]
Complete = Callable[[typer.Context, str], list[str]]


def _completing(names: Names) -> Complete:
    """Those of the names that begin as the word that is being typed."""

    @wraps(names)
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            return [name for name in dict.fromkeys(names(ctx)) if name.startswith(incomplete)]
        except (AsdError, OSError):
            return []

    complete.__annotations__ = {"ctx": typer.Context, "incomplete": str, "return": list[str]}
    del complete.__wrapped__  # typer looks at the signature
    return complete


@_completing
def recipes(ctx: typer.Context) -> Iterable[str]:
    from asdcli.recipe.loading import recipe_names

    return recipe_names()


@_completing
def members(ctx: typer.Context) -> Iterable[str]:
    return _recipe(ctx).members(ctx.params.get("profile") or "full")


@_completing
def profiles(ctx: typer.Context) -> Iterable[str]:
    return ["full", *_recipe(ctx).header.profiles]


@_completing
def downloads(ctx: typer.Context) -> Iterable[str]:
    """Every edition, and published weights."""
    from asdcli.challenge.editions.edition import edition_names
    from asdcli.download.weights import weights_names

    return [*edition_names(), *weights_names()]


@_completing
def data(ctx: typer.Context) -> Iterable[str]:
    """What is here, then every edition."""
    from asdcli.challenge.editions.edition import edition_names

    return [*_workspace(ctx).editions(), *edition_names()]


@_completing
def machines(ctx: typer.Context) -> Iterable[str]:
    """Those of the data set that is named or was used last: on disk, or by the edition where none is."""
    from asdcli.challenge.editions.edition import load_edition

    workspace = _workspace(ctx)
    here = workspace.editions()
    named = _after("download") if ctx.info_name == "download" else ctx.params.get("data")
    name = named or (here[0] if len(here) == 1 else workspace.last().get("edition", ""))
    raws = [workspace.raw(name, each) for each in workspace.sets(name)] if name else []
    found = sorted({path.name for raw in raws for path in raw.iterdir() if path.is_dir() and path.name[0] != "."})
    return found or [each for names in load_edition(name).machines.values() for each in names]


def _recipe(ctx: typer.Context) -> Recipe:
    from asdcli.recipe.loading import load_recipe

    named = _after("show") if ctx.info_name == "recipes" else ctx.params.get("recipe")
    return load_recipe(named or _workspace(ctx).last().get("recipe", ""))


def _workspace(ctx: typer.Context) -> Workspace:
    """The root that stands anywhere in the line, or the default one."""
    from asdcli.workspace.places import open_root

    joined = [word.partition("=")[2] for word in _words() if word.startswith("--root=")]
    given = [_after("--root"), *joined, ctx.find_root().params.get("root")]
    return open_root(Path(next(filter(None, given), None) or default_root()).expanduser())


def _after(word: str) -> str:
    """The word after another one in the line, where typer has not yet understood it."""
    return next((after for before, after in pairwise(_words()) if before == word), "")


def _words() -> list[str]:
    """The line as bash, or zsh and fish, hand it over."""
    return (os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or "").split()
