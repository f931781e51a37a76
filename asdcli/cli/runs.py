"""`asd runs`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from asdcli.cli.console import Output
from asdcli.errors import UserError

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(invoke_without_command=True, help="List the trainings that lie here, and remove what may go.")
    group.callback()(show)
    group.command(epilog="Example: `asd runs remove 3f2a`")(remove)
    group.command(epilog="Example: `asd runs clean --yes`")(clean)
    app.add_typer(group, name="runs")


def show(context: typer.Context) -> None:
    """List the trainings that lie here: which of them a recipe here would find, and why not the others."""
    if context.invoked_subcommand is not None:
        return
    from asdcli.stages.looking.run_list import list_runs

    output: Output = context.obj
    runs = list_runs(output.workspace)
    if output.json([{**vars(run), "path": str(run.path)} for run in runs]):
        return
    rows = [
        (
            run.run,
            run.recipe,
            run.edition,
            run.member,
            run.group,
            run.seed,
            _size(run.bytes),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(run.changed)),
            f"{run.state}: {run.why}" if run.why else run.state,
        )
        for run in runs
    ]
    output.table("", ("run", "recipe", "data", "member", "machine", "seed", "size", "changed", "state"), rows)
    stale = sum(run.bytes for run in runs if run.state == "stale")
    if stale:
        output.text(f"asd runs clean would free {_size(stale)} of stale runs.")


def remove(
    context: typer.Context,
    names: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Runs as `asd runs` names them, or their folders.")
    ],
    yes: Yes = False,
) -> None:
    """Delete runs, after a question."""
    from asdcli.stages.looking.run_list import find_listed

    output: Output = context.obj
    runs = find_listed(output.workspace, names)
    lines = [f"{run.run}  {run.recipe} {run.edition} {run.member} {run.group} seed {run.seed}" for run in runs]
    _delete(output, [run.path for run in runs], lines, sum(run.bytes for run in runs), yes)


def clean(context: typer.Context, yes: Yes = False) -> None:
    """Delete what no recipe here would find any more: stale runs, their embeddings, stores whose clips are gone.

    Runs of older layouts, runs under way, and those whose data are not there now are left alone.
    """
    from asdcli.stages.looking.run_list import litter

    output: Output = context.obj
    found = list(litter(output.workspace))
    lines = [f"{each.what} {each.path} ({each.why})" for each in found]
    _delete(output, [each.path for each in found], lines, sum(each.bytes for each in found), yes)


def _delete(output: Output, folders: Sequence[Path], lines: Sequence[str], size: int, yes: bool) -> None:
    from asdcli.stages.looking.run_list import remove as remove_folder

    for line in lines:
        output.ui.say(line)
    if folders and not yes:
        if not sys.stdin.isatty():
            raise UserError("Deleting wants a yes, and nobody is there to be asked.", "--yes")
        if not typer.confirm(f"Delete these {len(folders)} ({_size(size)})?", err=True):
            folders = []
    for folder in folders:
        remove_folder(output.workspace, folder)
    if not output.json({"removed": [str(folder) for folder in folders], "bytes": size if folders else 0}):
        output.text(f"Removed: {len(folders)}, {_size(size)} freed." if folders else "Nothing was removed.")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
