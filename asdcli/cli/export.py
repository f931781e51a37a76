"""`asd export`."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from asdcli.cli import options, predict
from asdcli.cli.console import Output
from asdcli.errors import UserError


class To(StrEnum):
    folder = "folder"
    onnx = "onnx"


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `asd export --recipe baseline_ae --machine SynFan --output fan_box`")(export)


def export(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--output", "-o", help="The new folder or file.")],
    to: Annotated[
        To, typer.Option(help="folder: for asd elsewhere; onnx: a file for onnxruntime, needs asdcli[edge].")
    ] = To.folder,
    run: predict.Run = None,
    recipe: options.Recipe = None,
    data: options.Data = None,
    machine: options.OneMachine = None,
    member: options.OneMember = None,
    detector: Annotated[str | None, typer.Option(help="With --to onnx: detector of the recipe, or the first.")] = None,
    section: Annotated[str | None, typer.Option(help="With --to onnx: which, where there are several.")] = None,
    seed: options.Seed = 0,
    profile: options.Profile = None,
) -> None:
    """Put all that another machine needs to predict into one folder: weights, bank, thresholds, front end, versions.

    There, `asd predict --run FOLDER` checks on use that nothing is damaged and that its asd computes the same. With
    `--to onnx` a detector of one section becomes a file that needs no asd: waveform in, score and embedding out, bank
    and threshold within. It is compared with what asd computes before it is written.
    """
    output: Output = context.obj
    chosen: dict[str, Any] = {
        "recipe": recipe,
        "data": data,
        "machine": machine,
        "member": member,
        "seed": seed,
        "device": "cpu",
        "profile": profile,
    }
    if to is To.onnx:
        _to_onnx(output, out, run, detector, section, **chosen)
        return
    if detector or section:
        raise UserError("A folder holds all detectors and sections.", "without --detector and --section, or --to onnx")
    from asdcli.stages.predicting import export as stage

    predictor = predict.predictor_for(output, run, **chosen)
    files = stage.run(predictor, out)
    size = sum((out / path).stat().st_size for path in files)
    document = {"folder": str(out), "machine": predictor.about.machine, "bytes": size, "files": list(map(str, files))}
    if not output.json({**document, "versions": predictor.about.versions}):
        output.text(f"{out}: {predictor.about.machine} by {predictor.about.recipe}, {size / 1e6:.1f} MB.")
        output.text(f"There: asd predict PATH... --run {out}")


def _to_onnx(
    output: Output,
    out: Path,
    run: Path | None,
    detector: str | None,
    section: str | None,
    *,
    machine: str | None,
    **chosen: Any,
) -> None:
    from asdcli.stages.predicting import onnx_file as stage

    if run is not None:
        made = stage.of_run(output.workspace, output.ui, run, machine, out, detector, section)
    else:
        selection = options.selection_of_one(output, machine=machine, **chosen)
        made = stage.of_selection(selection, out, detector, section)
    if output.json({**asdict(made), "path": str(made.path)}):
        return
    about = made.metadata
    seconds = int(about["samples"]) / int(about["sample_rate_hz"])
    output.text(
        f"{out}: {about['machine']} section {about['section']} by {about['recipe']} {about['member']}/"
        f"{about['detector']}, {made.bytes / 1e6:.1f} MB."
    )
    output.text(
        f"A network of {made.parameters:,} parameters; {made.multiply_accumulates / 1e6:,.1f} million "
        f"multiply-accumulates for {seconds:g} s of sound, the spectrum's among them."
    )
    output.text(
        f"Compared with what asd computes, on {made.compared}: scores differ by {made.score_error:.1g} at most, "
        f"embeddings by {made.embedding_error:.1g} (relative)."
    )
