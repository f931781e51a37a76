"""Options that several commands share, and how they become a Selection."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asdcli.cli import completion
from asdcli.cli.console import Output
from asdcli.errors import UserError

if TYPE_CHECKING:
    from asdcli.stages.selection import Done, Selection


class SetName(StrEnum):
    dev = "dev"
    eval = "eval"
    all = "all"


Recipe = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        "-r",
        autocompletion=completion.recipes,
        help="Name or path of a recipe. Left out: the one used last, or on own data mean_spectrum.",
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        "-d",
        autocompletion=completion.data,
        help="Edition or own data set. Left out: the only one, or the last used.",
    ),
]
Machine = Annotated[
    list[str] | None,
    typer.Option(
        "--machine", "-m", autocompletion=completion.machines, help="Only this machine type; may be repeated."
    ),
]
Member = Annotated[
    list[str] | None,
    typer.Option("--member", autocompletion=completion.members, help="Only this member; may be repeated."),
]
OneMachine = Annotated[
    str | None,
    typer.Option("--machine", "-m", autocompletion=completion.machines, help="The machine type that is heard."),
]
OneMember = Annotated[
    str | None,
    typer.Option("--member", autocompletion=completion.members, help="Member of the recipe. Left out: the first."),
]
Set = Annotated[SetName, typer.Option("--set", help="Which sets on disk to use, in training too.")]
Truth = Annotated[
    list[Path] | None,
    typer.Option(
        help="Ground truth: official CSVs, their folder or list, an evaluator's repository, also as a zip; of all "
        "machines or of some. May be repeated."
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of the run.", min=0)]
Seeds = Annotated[list[int], typer.Option("--seed", help="Seed of the run; may be repeated.", min=0)]
FIRST_SEED = [0]


def _device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
        raise typer.BadParameter(f"'{value}' is not one of 'auto', 'cpu', 'cuda', 'cuda:1'.")
    return value


def _devices(value: str) -> str:
    several = value.split(",")
    if len(several) > 1 and not all(re.fullmatch(r"cuda:\d+", one) for one in several):
        raise typer.BadParameter(f"'{value}': several devices are GPUs by number, such as cuda:0,cuda:1.")
    return ",".join(map(_device, several))


AUTO = "auto"
Device = Annotated[
    str,
    typer.Option("--device", metavar="auto|cpu|cuda|cuda:N", callback=_device, help="auto: the GPU if there is one."),
]
Devices = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda|cuda:N,...",
        callback=_devices,
        help="auto: the GPU if there is one. Several, such as cuda:0,cuda:1, are taken by turns.",
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        autocompletion=completion.profiles,
        help="full, or one of the recipe's: smoke is the same, small and quick. "
        "Left out: full, or as last with the recipe used last.",
    ),
]


def run_stage(context: typer.Context, stage: str, seeds: list[int], **chosen: Any) -> None:
    """Run one stage of the pipeline on what the options choose, seed by seed, and draw what it made."""
    import importlib

    output: Output = context.obj
    run = importlib.import_module(f"asdcli.stages.{stage}").run
    done: list[Done] = []
    for seed in dict.fromkeys(seeds):
        selection = selection_of(output, seed=seed, **chosen)
        done += run(selection)
        if stage == "score":
            from asdcli.stages.systems import warn_of_few_clips

            warn_of_few_clips(selection)
    draw_done(output, stage, selection, done)


def refuse_with_folders(context: typer.Context, *names: str) -> None:
    """Raise for options that choose among a recipe's results, where folders of score files are given instead."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            option = max(parameter.opts, key=len)
            raise UserError(
                f"{option} is about a recipe's results; it says nothing of folders that are given.", f"without {option}"
            )


def selection_of(output: Output, **chosen: Any) -> Selection:
    from asdcli.stages.selection import select

    chosen = {key: value.value if isinstance(value, StrEnum) else value for key, value in chosen.items()}
    return select(output.workspace, output.ui, **chosen)


def selection_of_one(output: Output, *, machine: str | None, member: str | None, **chosen: Any) -> Selection:
    """Of commands that work on one machine and member; what is left out is for them to choose."""
    machines, members = ([one] if one else None for one in (machine, member))
    return selection_of(output, machines=machines, members=members, **chosen)


def draw_done(output: Output, stage: str, selection: Selection, done: list[Done]) -> None:
    document = {
        "edition": selection.edition.name,
        "recipe": selection.label,
        "done": [{"what": entry.what, "path": entry.path, "fresh": entry.fresh} for entry in done],
    }
    if output.json(document):
        return
    rows = [(entry.what, "up to date" if entry.fresh else "done", entry.path) for entry in done]
    output.table(f"asd {stage}: {selection.label} on {selection.edition.name}", ("what", "state", "where"), rows)
