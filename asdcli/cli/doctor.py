"""`asd doctor`."""

from __future__ import annotations

import typer

from asdcli.cli.console import Output


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(context: typer.Context) -> None:
    """Look at this machine: Python, torch, GPU, disk, data and weights found."""
    from asdcli.stages.doctor import examine

    output: Output = context.obj
    findings = examine(output.workspace)
    if not output.json([vars(finding) for finding in findings]):
        output.table("", ("", "what", "found"), [(f.state, f.what, f.found) for f in findings])
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)
