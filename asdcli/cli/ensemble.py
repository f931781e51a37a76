"""`asd ensemble`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asdcli.cli import options
from asdcli.cli.console import Output

if TYPE_CHECKING:
    from asdcli.challenge.editions import Edition
    from asdcli.pipeline.ensemble import Fused
    from asdcli.pipeline.scorefolders import ScoreFolder


class Norm(StrEnum):
    train = "train"
    test = "test"
    none = "none"


def register(app: typer.Typer) -> None:
    example = "Examples: `asd ensemble` · `asd ensemble --system mse` · `asd ensemble DIR_A DIR_B --norm none`"
    app.command(epilog=example)(ensemble)


def ensemble(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[SCORES_DIR]...", help="Folders of score files. Left out: the members of a recipe."),
    ] = None,
    recipe: options.Recipe = None,
    data: options.Data = None,
    system: Annotated[str | None, typer.Option(help="A system named in the recipe. Left out: equal weights.")] = None,
    norm: Annotated[
        Norm,
        typer.Option(
            help="Normalise per machine and section by training clips, by test clips (against the rules), or not."
        ),
    ] = Norm.train,
    out: Annotated[Path | None, typer.Option(help="Where to write. Left out: ensembles/ under the root.")] = None,
    machine: options.Machine = None,
    member: options.Member = None,
    set_name: options.Set = options.SetName.all,
    seed: options.Seed = 0,
    device: options.DeviceOption = options.Device.auto,
    profile: options.Profile = "full",
) -> None:
    """Fuse the scores of several systems into the challenge's score and decision files.

    Brings the members of the recipe up to date first. Any folders of score CSVs can be fused as well.
    """
    output: Output = context.obj
    if folders:
        edition, fused, systems = _fuse_given(output, folders, data, norm.value, out)
    else:
        from asdcli.pipeline.systems import fuse_recipe

        selection = options.selection_of(
            output, recipe=recipe, data=data, machines=machine, members=member, set_name=set_name, seed=seed,
            device=device, profile=profile,
        )  # fmt: skip
        fused, systems = fuse_recipe(selection, system, norm.value, out)
        edition = selection.edition
    scores = _dev_scores(output, edition, fused, systems)
    document: dict[str, Any] = {"equal": None, "weights": fused.weights, "out": str(fused.out)}
    document["equal" if len(set(fused.weights.values())) == 1 else "score"] = scores.get("ensemble")
    if output.json(document):
        return
    rows = [
        (name, f"{weight:.3g}" if (weight := fused.weights.get(name)) is not None else "", _percent(scores.get(name)))
        for name in [*(folder.name for folder in systems), "ensemble"]
    ]
    synthetic = " (synthetic data)" if edition.synthetic else ""
    output.table(
        f"asd ensemble: {edition.name}{synthetic}", ("system", "weight", "dev score, %"), rows, [len(systems) - 1]
    )
    output.text(f"Score and decision files: {fused.out}/{{{','.join(fused.sets)}}}")


def _fuse_given(
    output: Output, paths: list[Path], data: str | None, norm: str, out: Path | None
) -> tuple[Edition, Fused, list[ScoreFolder]]:
    from asdcli.pipeline import ensemble as stage
    from asdcli.pipeline.scorefolders import edition_or_choice, open_score_folder

    edition = edition_or_choice(output.workspace, output.ui, paths, data)
    systems = [open_score_folder(output.workspace, output.ui, path, edition) for path in paths]
    place = out or output.workspace.ensemble("folders") / edition.name
    with output.workspace.lock(place):
        fused = stage.run(output.ui, edition, systems, {folder.name: 1.0 for folder in systems}, norm, place)  # type: ignore[arg-type]
    return edition, fused, systems


def _dev_scores(output: Output, edition: Edition, fused: Fused, systems: list[ScoreFolder]) -> dict[str, float]:
    """Score on the dev set of every system and of the fusion; empty when there is no dev set with labels."""
    from asdcli.errors import UserError
    from asdcli.pipeline import evaluate as stage
    from asdcli.pipeline.scorefolders import open_score_folder

    if "dev" not in fused.sets:
        return {}
    result = open_score_folder(output.workspace, output.ui, fused.out, edition)
    try:
        results = stage.run(output.workspace, output.ui, edition, [*systems, result], set_name="dev", bootstrap=0)
    except UserError as error:
        output.ui.say(f"Not evaluated: {error}")
        return {}
    scores = {found.system: found.evaluation.score for found in results if found.path != fused.out}
    return {
        name: value for name, value in {**scores, "ensemble": results[-1].evaluation.score}.items() if value == value
    }


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"
