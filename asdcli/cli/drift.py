"""`asd drift`."""

from __future__ import annotations

from dataclasses import asdict

import typer

from asdcli.cli import options, predict
from asdcli.cli.console import Output


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `asd drift monday/ --recipe baseline_ae --machine SynFan`")(drift)


def drift(
    context: typer.Context,
    places: predict.Places,
    recipe: options.Recipe = None,
    data: options.Data = None,
    machine: options.OneMachine = None,
    member: options.OneMember = None,
    detector: predict.Detector = None,
    section: predict.Section = None,
    run: predict.Run = None,
    seed: options.Seed = 0,
    device: options.Device = options.AUTO,
    profile: options.Profile = None,
) -> None:
    """Test whether new normal sound is still like the training clips: level, spectrum, scores.

    A small p-value says that sound of the training clips' kind would hardly differ as much. Windows of one recording
    are alike, so that few long recordings seem to have drifted more easily than they have.
    """
    from asdcli.audio.soundfiles import sound_files
    from asdcli.stages.predicting import drift as stage
    from asdcli.stages.predicting import predict as prediction

    output: Output = context.obj
    files = sound_files(places)
    predictor = predict.predictor_for(
        output, run, recipe=recipe, data=data, machine=machine, member=member, seed=seed, device=device, profile=profile
    )
    listener = prediction.Listener(predictor, predict.torch_device(device), prediction.Options(detector, section))
    found = stage.run(predictor, listener, files, section)
    tests = [{**asdict(test), "drifted": test.drifted} for test in found.tests]
    document = {"section": found.section, "windows": found.windows, "clips": found.clips, "drifted": found.drifted}
    if output.json({**document, "tests": tests}):
        return
    rows = [
        (
            test.name,
            "-" if test.p_value is None else f"{test.p_value:.2g}",
            test.change,
            "drifted" if test.drifted else "",
        )
        for test in found.tests
    ]
    about = f"{found.windows} windows against {found.clips} training clips of {predictor.about.machine}"
    output.table(f"{about} section {found.section}", ("what", "p", "change", ""), rows)
    if found.drifted:
        output.text("This is no longer the sound of the training clips: record normal clips anew and train again.")
    else:
        output.text("Nothing says that this differs from the training clips.")
