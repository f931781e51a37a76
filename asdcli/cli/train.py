"""`asd train`: one training after another, side by side, or as a list for a scheduler."""

from __future__ import annotations

from typing import Annotated

import typer

from asdcli.cli import options
from asdcli.cli.console import Output

Jobs = Annotated[
    str | None,
    typer.Option(
        metavar="auto|N",
        help="So many trainings side by side, each in a process of its own with one thread. auto: as many as GPUs, or "
        "on the CPU as cores and memory allow. Left out: one after another, with all threads.",
    ),
]


def register(app: typer.Typer) -> None:
    app.command("train", epilog="Example: `asd train --recipe baseline_ae --data demo --machine SynFan`")(train)


def train(
    context: typer.Context,
    recipe: options.Recipe = None,
    data: options.Data = None,
    machine: options.Machine = None,
    member: options.Member = None,
    set_name: options.Set = options.SetName.all,
    seed: options.Seeds = options.FIRST_SEED,
    device: options.Devices = options.AUTO,
    profile: options.Profile = None,
    jobs: Jobs = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Train nothing; print one command for each training that is to be done.")
    ] = False,
) -> None:
    """Train the members of a recipe.

    Goes on where a killed run stopped; a network that is up to date is not trained again. Prepares stores and features
    first where they are missing.

    What `--plan` prints may run in any order, on any machines that share the root, and again after a failure.
    """
    output: Output = context.obj
    at_once, devices = _at_once(jobs), device.split(",")
    chosen = {"recipe": recipe, "data": data, "machines": machine, "members": member}
    chosen |= {"set_name": set_name, "profile": profile}
    if jobs is None and len(devices) == 1 and not plan:
        options.run_stage(context, "train", seeds=seed, device=device, **chosen)
        return
    from asdcli.stages import jobs as side_by_side

    selections = [options.selection_of(output, seed=each, device=devices[0], **chosen) for each in dict.fromkeys(seed)]
    if not plan:
        done = side_by_side.run(selections, at_once, devices)
        options.draw_done(output, "train", selections[0], done)
        return
    lines = side_by_side.plan(selections, devices)
    if not output.json({"plan": lines}):
        for line in lines:
            output.text(line)
        if not lines:
            output.ui.say("Everything is trained.")


def _at_once(jobs: str | None) -> int | None:
    """None for `auto`, which also several devices mean."""
    if jobs in (None, "auto"):
        return None
    if not jobs.isdecimal() or int(jobs) < 1:
        raise typer.BadParameter(f"'{jobs}' is neither auto nor a number from 1 on.", param_hint="--jobs")
    return int(jobs)
