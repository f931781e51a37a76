"""`asd doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from asdcli.cli import completion
from asdcli.cli.console import Output


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            autocompletion=completion.data,
            help="Name every odd clip of this data set instead.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Look at this machine: Python, torch, GPU, disk, data and weights found.

    With --data, look at the clips of one data set: which are silent, clipped, far from the others in level or length,
    there twice, or cannot be used.
    """
    from asdcli.stages.choices import choose_edition
    from asdcli.stages.looking.doctor import examine, examine_clips

    output: Output = context.obj
    if data is None:
        findings = examine(output.workspace)
    else:
        findings = list(examine_clips(output.workspace, choose_edition(output.workspace, output.ui, data)))
    if not output.json([vars(finding) for finding in findings]):
        output.table("", ("", "what", "found"), [(f.state, f.what, f.found) for f in findings])
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)
