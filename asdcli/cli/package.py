"""`asd package-submission`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asdcli.cli import options
from asdcli.cli.console import Output
from asdcli.errors import UserError, few

if TYPE_CHECKING:
    from asdcli.challenge.submission.checker import Report
    from asdcli.stages.package import KnownClips

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
        int | None, typer.Option(help="Total parameters of the system. Left out: counted of a recipe.", min=0)
    ] = None,
    report: Annotated[Path | None, typer.Option(help="The technical report, a PDF.")] = None,
    check: Annotated[
        Path | None, typer.Option(help="Only check this package (zip or folder), whoever made it.")
    ] = None,
    truth: options.Truth = None,
    recipe: options.Recipe = None,
    data: options.Data = None,
    seed: options.Seed = 0,
    device: options.Device = options.AUTO,
    profile: options.Profile = None,
) -> None:
    """Make the challenge's submission package and check it, or check any package.

    Clip names are compared with the edition's own where these are known: from --truth, from the clips under the root,
    or from the ground truth there. The output says which; without any, form and number of the names are checked.

    Of a recipe, the meta file says what is known of it: parameters and multiply-accumulates (of one pass of each
    network over one example), published weights, number of systems in the ensemble, what the recipe says of itself.
    """
    output: Output = context.obj
    if check is not None:
        _check(output, check, data, truth or [])
        return
    if label is None or not author:
        raise UserError("A package needs --label and at least one --author.", "asd package-submission --help")
    from asdcli.challenge.submission.team import parse_author, parse_label
    from asdcli.scores.folders import profiles_of
    from asdcli.stages import package as stage
    from asdcli.stages.choices import open_score_folders
    from asdcli.stages.systems import current_ensemble

    parse_label(label)
    authors = [parse_author(text) for text in author]
    if folders:
        options.refuse_with_folders(context, "recipe", "seed", "device", "profile")
        edition, opened = open_score_folders(output.workspace, output.ui, folders, data)
        title, facts = folders[0].name, stage.Facts()
    else:
        selection = options.selection_of(output, recipe=recipe, data=data, seed=seed, device=device, profile=profile)
        ensemble = current_ensemble(selection)
        edition, opened, facts = selection.edition, [ensemble], stage.ensemble_facts(selection, ensemble)
        title = selection.recipe.name
    about = stage.About(
        authors=authors,
        name=name or title,
        abbreviation=abbreviation or title.replace("_", "")[:10],
        facts=facts if parameters is None else replace(facts, total_parameters=parameters),
    )
    path, found, known = stage.run(output.workspace, output.ui, edition, opened, label, about, report, truth or [])
    profiles = sorted({name for folder in opened for name in profiles_of(output.workspace, folder.path)})
    _draw(output, found, known, f"Package: {path}", profiles)


def _check(output: Output, path: Path, data: str | None, truth: list[Path]) -> None:
    from asdcli.challenge.editions.edition import load_edition
    from asdcli.stages import package as stage

    edition = load_edition(data, own=output.workspace.data(data).is_dir()) if data else None
    found, known = stage.check(output.workspace, output.ui, path, edition, truth)
    _draw(output, found, known, f"Checked: {path}")
    if not found.ok:
        raise typer.Exit(1)


def _draw(output: Output, found: Report, known: KnownClips | None, title: str, profiles: Sequence[str] = ()) -> None:
    """The checker's report. profiles: those of scores that are not of the full recipe."""
    edition = found.edition.name if found.edition else None
    document = {
        "path": str(found.path),
        "edition": edition,
        "systems": list(found.systems),
        "ok": found.ok,
        "problems": [vars(problem) for problem in found.problems],
        "profiles": list(profiles),
        "clip_names": known
        and {"compared_with": list(known.sources), "checked_by_form_and_number": [str(unit) for unit in known.by_rule]},
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
    if known:
        output.text(_compared(found, known))
    for problem in found.problems:
        output.text(str(problem))
    valid = f"The package is valid, but of profile {' and '.join(profiles)}." if profiles else "The package is valid."
    count = len(found.errors)
    output.text(valid if found.ok else f"{count} error{'s' * (count > 1)}.")


def _compared(found: Report, known: KnownClips) -> str:
    """What the clip names were compared with."""
    edition = found.edition.name if found.edition else ""
    if not known.names:
        published = found.edition and (found.edition.truth.repository or found.edition.truth.record)
        fetch = f", or asd download {edition} --set truth" if published else ""
        return (
            f"Clip names: only their form and number were checked, since no list of the evaluation clips of {edition} "
            f"is here. To compare them: --truth DIR{fetch}"
        )
    sentence = f"Clip names: compared with {' and '.join(known.sources)}."
    if known.by_rule:
        some = few([str(unit) for unit in known.by_rule])
        sentence += f" Of {len(known.by_rule)} files ({some}) only form and number were checked."
    return sentence
