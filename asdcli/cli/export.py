"""`asd export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asdcli.cli import options, predict
from asdcli.cli.console import Output


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `asd export --recipe baseline_ae --machine SynFan --output fan_box`")(export)


def export(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--output", "-o", help="The new folder.")],
    run: predict.Run = None,
    recipe: options.Recipe = None,
    data: options.Data = None,
    machine: options.OneMachine = None,
    member: options.OneMember = None,
    seed: options.Seed = 0,
    profile: options.Profile = None,
) -> None:
    """Put all that another machine needs to predict into one folder: weights, bank, thresholds, front end, versions.

    There, `asd predict --run FOLDER` checks on use that nothing is damaged and that its asd computes the same.
    """
    from asdcli.stages.predicting import export as stage

    output: Output = context.obj
    predictor = predict.predictor_for(
        output, run, recipe=recipe, data=data, machine=machine, member=member, seed=seed, device="cpu", profile=profile
    )
    files = stage.run(predictor, out)
    size = sum((out / path).stat().st_size for path in files)
    document = {"folder": str(out), "machine": predictor.about.machine, "bytes": size, "files": list(map(str, files))}
    if not output.json({**document, "versions": predictor.about.versions}):
        output.text(f"{out}: {predictor.about.machine} by {predictor.about.recipe}, {size / 1e6:.1f} MB.")
        output.text(f"There: asd predict PATH... --run {out}")
