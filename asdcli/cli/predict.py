"""`asd predict`."""

from __future__ import annotations

import csv
import io
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asdcli.cli import options
from asdcli.cli.console import Output
from asdcli.errors import UserError

if TYPE_CHECKING:
    from asdcli.stages.predicting.predict import Failed, Heard, Listener, Options, Prediction
    from asdcli.stages.predicting.predictors import Predictor

ALARM = 3

Places = Annotated[
    list[str],
    typer.Argument(metavar="PATH...", help="Sound files, folders of them, or patterns such as 'day_*/*.wav'."),
]
Detector = Annotated[str | None, typer.Option(help="Detector of the recipe. Left out: the first.")]
Section = Annotated[str | None, typer.Option(help="Section of all files. Left out: by their names, or the only one.")]
Run = Annotated[
    Path | None, typer.Option(help="Folder of a finished run or of an export, in place of recipe and data.")
]


class Aggregate(StrEnum):
    max = "max"
    p95 = "p95"
    mean = "mean"


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `asd predict recordings/ --recipe baseline_ae --machine SynFan`")(predict)


def predict(
    context: typer.Context,
    places: Places,
    recipe: options.Recipe = None,
    data: options.Data = None,
    machine: options.OneMachine = None,
    member: options.OneMember = None,
    detector: Detector = None,
    system: Annotated[
        str | None, typer.Option(help="A fusion that the recipe names, such as all of everyday.", show_default=False)
    ] = None,
    section: Section = None,
    run: Run = None,
    window: Annotated[
        float | None,
        typer.Option(help="Seconds that get one score. Left out: the length of the longest training clip."),
    ] = None,
    hop: Annotated[
        float | None, typer.Option(help="Seconds from one window to the next. Left out: no overlap.")
    ] = None,
    aggregate: Annotated[Aggregate, typer.Option(help="What a file's score is, of its windows'.")] = Aggregate.max,
    by_window: Annotated[bool, typer.Option("--windows", help="A row per window, too.")] = False,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the rows to this file, too.")] = None,
    seed: options.Seed = 0,
    device: options.Device = options.AUTO,
    profile: options.Profile = None,
) -> None:
    """Score any sound of a machine, and say which are anomalous and why.

    Takes any sampling rate; files longer than the training clips are cut into windows. Needs a finished run. Exit code
    0 when all is normal, 3 when anything alarms, 2 when a file could not be scored and nothing alarms.
    """
    from asdcli.audio.soundfiles import sound_files
    from asdcli.stages.predicting import predict as stage

    output: Output = context.obj
    files = sound_files(places)
    asked: dict[str, Any] = {
        "recipe": recipe,
        "data": data,
        "machine": machine,
        "seed": seed,
        "device": device,
        "profile": profile,
    }
    chosen = stage.Options(detector, section, window, hop, aggregate.value)
    if system is None:
        predictor = predictor_for(output, run, member=member, **asked)
        listener = stage.Listener(predictor, torch_device(device), chosen)
        name = f"{predictor.about.recipe} {predictor.about.member}/{listener.detector}"
    else:
        listener = _fused(
            output, system, device, chosen, asked, {"--run": run, "--member": member, "--detector": detector}
        )
        name = f"{listener.about.recipe} {system}"
    machine = listener.about.machine
    found = list(stage.run(output.ui, listener, files))
    heard = [one for one in found if isinstance(one, stage.Prediction)]
    failed = [one for one in found if isinstance(one, stage.Failed)]
    if csv_file is not None:
        _write_csv(csv_file, heard, by_window)
    if not output.json(_document(name, machine, heard, failed, by_window)):
        if heard:
            _draw(output, f"{machine} by {name}", heard, by_window)
        for one in failed:
            output.ui.warn(f"{one.error} {one.error.hint}".strip())
    if any(one.alarm for one in heard):
        raise typer.Exit(ALARM)
    if failed:
        raise UserError(f"{len(failed)} of {len(found)} files could not be scored.", str(failed[0].error))


def _fused(
    output: Output, system: str, device: str, chosen: Options, asked: dict[str, Any], others: dict[str, Any]
) -> Listener:
    from asdcli.stages.predicting.fused import fused_listener

    for name, value in others.items():
        if value is not None:
            raise UserError(f"--system is a fusion of several members, and {name} names one.", "Leave one of them out.")
    selection = options.selection_of_one(output, member=None, **asked)
    return fused_listener(selection, system, torch_device(device), chosen)


def predictor_for(output: Output, run: Path | None, *, machine: str | None, **chosen: Any) -> Predictor:
    """That of a run's folder, or of the run that recipe and data choose."""
    from asdcli.stages.predicting import predict as stage

    if run is not None:
        return stage.predictor_in(output.workspace, output.ui, run, machine)
    return stage.predictor_of(options.selection_of_one(output, machine=machine, **chosen))


def torch_device(device: str) -> Any:
    from asdcli.training.device import pick_device

    return pick_device(device)


COLUMNS = ("file", "when", "score", "threshold", "p", "verdict")


def _draw(output: Output, title: str, heard: list[Prediction], by_window: bool) -> None:
    rows = []
    for one in heard:
        rows.append(_row(one, one.whole, str(one.path)))
        if by_window and len(one.windows) > 1:
            rows += [_row(one, window, "") for window in one.windows]
    output.table(title, COLUMNS, rows)
    for one in heard:
        if one.alarm:
            output.text(f"{one.path}: {sentence(one)}")
    alarms = sum(one.alarm for one in heard)
    output.text(f"{alarms} of {len(heard)} files alarm." if alarms else f"All {len(heard)} files are normal.")


def _row(one: Prediction, heard: Heard, name: str) -> tuple[str, ...]:
    alarm = heard.score > one.threshold
    when = f"{heard.begin_s:.1f}-{heard.end_s:.1f} s"
    p = "-" if heard.p_value is None else f"{heard.p_value:.3g}"
    figures = (f"{heard.score:.6g}", f"{one.threshold:.6g}", p, "ALARM" if alarm else "ok")
    return (name, when, *figures)


def sentence(one: Prediction) -> str:
    """Why a file alarms, and which normal clip it is most like; empty where it does not."""
    if one.why is None:
        return ""
    place = f" (window from {one.worst.begin_s:.1f} s)" if len(one.windows) > 1 else ""
    found = "" if one.peak is None else f"; the map is largest near {one.peak[0]:.0f} Hz at {one.peak[1]:.1f} s"
    if one.half is not None:
        low, high = (f"{hz:.0f}" for hz in one.half)
        found += f"; half of the distance comes from {f'near {low} Hz' if low == high else f'{low} to {high} Hz'}"
    return f"{one.why.sentence}{place}{found}; nearest normal clip {one.nearest.rpartition('/')[2]}."


def _document(
    system: str, machine: str, heard: list[Prediction], failed: list[Failed], by_window: bool
) -> dict[str, Any]:
    return {
        "system": system,
        "machine": machine,
        "files": [
            {
                "file": str(one.path),
                "section": one.section,
                **_figures(one, one.whole),
                "why": sentence(one),
                "kind": one.why.kind if one.why else "",
                "nearest": one.nearest,
                "peak": one.peak and {"hz": one.peak[0], "seconds": one.peak[1]},
                "half": one.half and {"low_hz": one.half[0], "high_hz": one.half[1]},
                **({"windows": [_figures(one, window) for window in one.windows]} if by_window else {}),
            }
            for one in heard
        ],
        "failed": [{"file": str(one.path), "error": str(one.error)} for one in failed],
    }


def _figures(one: Prediction, heard: Heard) -> dict[str, Any]:
    return {
        "begin_s": heard.begin_s,
        "end_s": heard.end_s,
        "score": heard.score,
        "threshold": one.threshold,
        "p_value": heard.p_value,
        "alarm": heard.score > one.threshold,
    }


def _write_csv(path: Path, heard: list[Prediction], by_window: bool) -> None:
    """A row per file, or per window."""
    from asdcli.workspace.files import write_atomic

    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerow(["file", "section", "begin_s", "end_s", "score", "threshold", "p_value", "alarm", "why"])
    for one in heard:
        for window in one.windows if by_window else [one.whole]:
            p = "" if window.p_value is None else window.p_value
            about = (one.path, one.section, f"{window.begin_s:.3f}", f"{window.end_s:.3f}")
            why = sentence(one) if window in (one.whole, one.worst) else ""
            rows.writerow([*about, window.score, one.threshold, p, int(window.score > one.threshold), why])
    write_atomic(path, buffer.getvalue().encode())
