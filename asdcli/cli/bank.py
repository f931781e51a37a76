"""`asd bank`."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from asdcli.cli import options, predict
from asdcli.cli.console import Output

if TYPE_CHECKING:
    from asdcli.stages.predicting.bank import BankNow


class Domain(StrEnum):
    source = "source"
    target = "target"


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Add normal clips to what a machine is compared with, or go back.")
    group.command(epilog="Example: `asd bank add monday/ --recipe padim --machine SynFan`")(add)
    group.command(epilog="Example: `asd bank undo --recipe padim --machine SynFan`")(undo)
    app.add_typer(group, name="bank")


def add(
    context: typer.Context,
    places: predict.Places,
    recipe: options.Recipe = None,
    data: options.Data = None,
    machine: options.OneMachine = None,
    member: options.OneMember = None,
    section: predict.Section = None,
    domain: Annotated[
        Domain, typer.Option(help="Of the new clips, for detectors that tell domains apart.")
    ] = Domain.source,
    seed: options.Seed = 0,
    device: options.Device = options.AUTO,
    profile: options.Profile = None,
) -> None:
    """Take new normal clips into the bank of a finished run, without training.

    It is a new version of the bank beside the old one, which `asd bank undo` goes back to. Thresholds that were set are
    made anew. Scores, maps and predictions are of the new bank from then on; the data set stays as it is.
    """
    from asdcli.audio.soundfiles import sound_files
    from asdcli.stages.predicting import bank as stage

    output: Output = context.obj
    files = sound_files(places)
    selection = options.selection_of_one(
        output, recipe=recipe, data=data, machine=machine, member=member, seed=seed, device=device, profile=profile
    )
    _draw(output, stage.add(selection, files, section, domain.value))


def undo(
    context: typer.Context,
    recipe: options.Recipe = None,
    data: options.Data = None,
    machine: options.OneMachine = None,
    member: options.OneMember = None,
    seed: options.Seed = 0,
    device: options.Device = options.AUTO,
    profile: options.Profile = None,
) -> None:
    """Go back to the bank before the newest clips were added; thresholds that were set are made anew."""
    from asdcli.stages.predicting import bank as stage

    output: Output = context.obj
    selection = options.selection_of_one(
        output, recipe=recipe, data=data, machine=machine, member=member, seed=seed, device=device, profile=profile
    )
    _draw(output, stage.undo(selection))


def _draw(output: Output, bank: BankNow) -> None:
    if output.json(asdict(bank)):
        return
    output.text(
        f"The bank of {bank.machine} ({bank.member}) is version {bank.version}: {bank.training_clips} training clips, "
        f"{bank.added_clips} added."
    )
