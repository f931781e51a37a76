"""`asd package-submission`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asdcli.cli import options
from asdcli.cli.console import Output
from asdcli.errors import UserError

if TYPE_CHECKING:
    from asdcli.challenge.editions.edition import Edition
    from asdcli.challenge.submission.checker import Report
    from asdcli.scores.folders import ScoreFolder
    from asdcli.stages.selection import Selection

EXAMPLE = (
    "Examples: `asd package-submission --label Example_UNI_task2_1 "
    '--author "Erin Example <erin@example.org>, Example University, Sampletown"` · '
    "`asd package-submission --check Example_UNI.zip`"
)


def register(app: typer.Typer) -> None:
    app.command("package-submission", epilog=EXAMPLE)(package_submission)


def package_submission(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[SCORES_DIR]...", help="Up to four systems. Left out: the ensemble of the recipe used last."
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Label of the first system, like Example_UNI_task2_1.")] = None,
    author: Annotated[
        list[str] | None,
        typer.Option(help='"First Last <mail>, Institution[, Department], Location"; the first one is corresponding.'),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the system in result tables.")] = None,
    abbreviation: Annotated[str | None, typer.Option(help="At most 10 characters.")] = None,
    parameters: Annotated[
        int | None, typer.Option(help="Total parameters of the system; counted for our own recipes.", min=0)
    ] = None,
    report: Annotated[Path | None, typer.Option(help="The technical report, a PDF.")] = None,
    check: Annotated[
        Path | None, typer.Option(help="Only check this package (zip or folder), whoever made it.")
    ] = None,
    recipe: options.Recipe = None,
    data: options.Data = None,
    seed: options.Seed = 0,
    device: options.DeviceOption = options.Device.auto,
    profile: options.Profile = None,
) -> None:
    """Make the challenge's submission package and check it, or check any package."""
    output: Output = context.obj
    if check is not None:
        _check(output, check, data)
        return
    if label is None or not author:
        raise UserError("A package needs --label and at least one --author.", "asd package-submission --help")
    from asdcli.challenge.submission.team import parse_author, parse_label
    from asdcli.scores.folders import profiles_of
    from asdcli.stages import package as stage
    from asdcli.stages.choices import open_score_folders

    parse_label(label)
    authors = [parse_author(text) for text in author]
    description: dict[str, Any] = {}
    if folders:
        options.refuse_with_folders(context, "recipe", "seed", "device", "profile")
        edition, opened = open_score_folders(output.workspace, output.ui, folders, data)
        title, counted = folders[0].name, None
    else:
        selection = options.selection_of(output, recipe=recipe, data=data, seed=seed, device=device, profile=profile)
        edition, opened, counted, description = _ensemble(selection)
        title = selection.recipe.name
    about = stage.About(
        authors=authors,
        name=name or title,
        abbreviation=abbreviation or title.replace("_", "")[:10],
        total_parameters=parameters if parameters is not None else counted,
        description=description,
    )
    path, found = stage.run(output.workspace, output.ui, edition, opened, label, about, report)
    profiles = sorted({name for folder in opened for name in profiles_of(output.workspace, folder.path)})
    _draw(output, found, f"Package: {path}", profiles)


def _ensemble(selection: Selection) -> tuple[Edition, list[ScoreFolder], int, dict[str, Any]]:
    """The recipe's ensemble, brought up to date, the parameters of the members in it, and what meta.yaml says of it."""
    from asdcli.stages.describe import count_parameters
    from asdcli.stages.systems import current_ensemble
    from asdcli.workspace.made import Made

    ensemble = current_ensemble(selection)
    systems = Made(ensemble.path).read()["all"]["weights"]  # of those that have any
    used = {system.partition("/")[0] for system in systems}
    counted = sum(count_parameters(selection.method(member, None)) for member in selection.members if member in used)
    description: dict[str, Any] = dict(selection.recipe.header.submission)
    if len(systems) > 1:
        description |= {"ensemble_method_subsystem_count": len(systems), "decision_making": "average"}
    return selection.edition, [ensemble], counted, description


def _check(output: Output, path: Path, data: str | None) -> None:
    from asdcli.challenge.editions.edition import load_edition
    from asdcli.stages import package as stage

    found = stage.check(output.workspace, path, load_edition(data) if data else None)
    _draw(output, found, f"Checked: {path}")
    if not found.ok:
        raise typer.Exit(1)


def _draw(output: Output, found: Report, title: str, profiles: Sequence[str] = ()) -> None:
    """The checker's report. profiles: those of scores that are not of the full recipe."""
    edition = found.edition.name if found.edition else None
    document = {
        "path": str(found.path),
        "edition": edition,
        "systems": list(found.systems),
        "ok": found.ok,
        "problems": [vars(problem) for problem in found.problems],
        "profiles": list(profiles),
    }
    if profiles:
        output.ui.warn(f"These are scores of profile {' and '.join(profiles)} and not of the full recipe.")
    if output.json(document):
        return
    output.text(title)
    if edition:
        output.text(
            f"Edition: {edition}{' (told by its files)' if found.inferred else ''}, systems: {', '.join(found.systems)}"
        )
    for problem in found.problems:
        output.text(str(problem))
    valid = f"The package is valid, but of profile {' and '.join(profiles)}." if profiles else "The package is valid."
    output.text(valid if found.ok else f"{len(found.errors)} errors.")
