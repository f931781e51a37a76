"""`asd plot`: figures of what was found."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asdcli.cli import options
from asdcli.cli.console import Output

if TYPE_CHECKING:
    from asdcli.stages.looking.anomaly_map import ClipMap
    from asdcli.stages.looking.curves import Curves
    from asdcli.stages.selection import Selection


Folder = Annotated[
    Path | None, typer.Option("--output", "-o", help="Folder for the figures. Left out: plots/ under the root.")
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Draw figures of what was found, as PNG files.")
    example = "Example: `asd plot map SynFan/test/section_00_source_test_anomaly_0000_spd_25.wav --recipe padim`"
    group.command("map", epilog=example)(anomaly_map)
    group.command("curves", epilog="Example: `asd plot curves --recipe dense_ae --machine SynFan`")(curves)
    group.command("clusters", epilog="Example: `asd plot clusters --recipe aithu_2024 --member beats_pse`")(clusters)
    app.add_typer(group, name="plot")


def anomaly_map(
    context: typer.Context,
    clips: Annotated[
        list[str],
        typer.Argument(metavar="CLIP...", help="Clips by file name, or by path such as MACHINE/test/NAME.wav."),
    ],
    recipe: options.Recipe = None,
    data: options.Data = None,
    machine: options.Machine = None,
    member: options.OneMember = None,
    detector: Annotated[
        str | None, typer.Option(help="Detector of the recipe. Left out: the first that can map.")
    ] = None,
    set_name: options.Set = options.SetName.all,
    seed: options.Seed = 0,
    device: options.Device = options.AUTO,
    profile: options.Profile = None,
    folder: Folder = None,
) -> None:
    """Show where in frequency and time clips are anomalous: spectrogram above, anomaly map below.

    Trains and embeds first what is missing. A training clip is compared with the other training clips.
    """
    from asdcli.cli.figures.anomaly_map import draw
    from asdcli.stages.looking import anomaly_map as stage
    from asdcli.workspace.files import write_atomic

    output: Output = context.obj
    selection = options.selection_of(
        output,
        recipe=recipe,
        data=data,
        machines=machine,
        members=[member] if member else None,
        set_name=set_name,
        seed=seed,
        device=device,
        profile=profile,
    )
    found = stage.run(selection, clips, detector)
    places = [_place(selection, each, folder) for each in found]
    for each, place in zip(found, places, strict=True):
        write_atomic(place, draw(each))
    _draw_maps(output, selection, found, places)


def curves(
    context: typer.Context,
    recipe: options.Recipe = None,
    data: options.Data = None,
    machine: options.Machine = None,
    member: options.Member = None,
    seed: options.Seed = 0,
    profile: options.Profile = None,
    folder: Folder = None,
) -> None:
    """Show losses by epoch, and how well anomalies stand apart where the recipe watches test clips.

    Also of trainings that are still running.
    """
    from asdcli.cli.figures.curves import draw
    from asdcli.stages.looking import curves as stage
    from asdcli.workspace.files import write_atomic

    output: Output = context.obj
    selection = options.selection_of(
        output, recipe=recipe, data=data, machines=machine, members=member, seed=seed, profile=profile
    )
    found = stage.run(selection)
    places = [(folder or _folder(selection, each.member)) / f"curves_{each.member}_{each.group}.png" for each in found]
    for each, place in zip(found, places, strict=True):
        write_atomic(place, draw(each))
    figures = [
        {"member": each.member, "machine": each.group, "epochs": len(each.epochs), "figure": str(place)}
        for each, place in zip(found, places, strict=True)
    ]
    if output.json({"edition": selection.edition.name, "recipe": selection.label, "curves": figures}):
        return
    rows = [(each.title, str(len(each.epochs)), _last(each)) for each in found]
    output.table(f"{selection.label} on {selection.edition.name}", ("training", "epochs", "last epoch"), rows)
    for place in places:
        output.text(str(place))


class ProjectionName(StrEnum):
    pca = "pca"
    umap = "umap"


def clusters(
    context: typer.Context,
    recipe: options.Recipe = None,
    data: options.Data = None,
    machine: options.Machine = None,
    member: options.Member = None,
    set_name: options.Set = options.SetName.all,
    seed: options.Seed = 0,
    device: options.Device = options.AUTO,
    profile: options.Profile = None,
    projection: Annotated[
        ProjectionName, typer.Option(help="How clips get into the plane; umap needs asdcli[plots].")
    ] = ProjectionName.pca,
    folder: Folder = None,
) -> None:
    """Show each machine's clips by the classes that were learnt of them: attributes, sections, or clusters.

    Trains and embeds first what is missing.
    """
    from asdcli.cli.figures.cluster_map import draw
    from asdcli.stages.looking import cluster_map as stage
    from asdcli.workspace.files import write_atomic

    output: Output = context.obj
    selection = options.selection_of(
        output,
        recipe=recipe,
        data=data,
        machines=machine,
        members=member,
        set_name=set_name,
        seed=seed,
        device=device,
        profile=profile,
    )
    found = stage.run(selection, projection.value)
    places = [
        (folder or _folder(selection, each.member)) / f"clusters_{each.member}_{each.machine}.png" for each in found
    ]
    for each, place in zip(found, places, strict=True):
        write_atomic(place, draw(each))
    figures = [
        {
            "member": each.member,
            "machine": each.machine,
            "classes": {name: int((each.classes == name).sum()) for name in each.names},
            "silhouette": each.silhouette,
            "figure": str(place),
        }
        for each, place in zip(found, places, strict=True)
    ]
    if output.json({"edition": selection.edition.name, "recipe": selection.label, "clusters": figures}):
        return
    rows = [
        (each.member, each.machine, str(len(each.names)), "" if each.silhouette is None else f"{each.silhouette:.3f}")
        for each in found
    ]
    title = f"{selection.label} on {selection.edition.name}"
    output.table(title, ("member", "machine", "classes", "mean silhouette"), rows)
    for place in places:
        output.text(str(place))


def _last(curves: Curves) -> str:
    """The figures of the last epoch in words."""
    shown = ("loss", "validation_loss", "separability", "auc")
    last = curves.epochs[-1]
    return ", ".join(f"{name.replace('_', ' ')} {last[name]:.4g}" for name in shown if name in last)


def _folder(selection: Selection, *made_by: str) -> Path:
    """Where figures of a recipe's results lie."""
    seed = f"seed_{selection.seed}"
    return selection.workspace.root.joinpath("plots", selection.label, selection.edition.name, *made_by, seed)


def _place(selection: Selection, found: ClipMap, folder: Path | None) -> Path:
    """Where the figure of a clip lies: its path in one file name, below what made it."""
    name = "_".join(PurePosixPath(found.clip.path).with_suffix(".png").parts)
    if folder is not None:
        return folder / name
    return _folder(selection, found.member, found.detector) / name


def _draw_maps(output: Output, selection: Selection, maps: list[ClipMap], places: list[Path]) -> None:
    document = {
        "edition": selection.edition.name,
        "recipe": selection.label,
        "maps": [_document(found, place) for found, place in zip(maps, places, strict=True)],
    }
    if output.json(document):
        return
    rows = []
    for found in maps:
        hz, seconds = found.peak
        verdict = "anomalous" if found.anomalous else "normal"
        figures = (f"{found.score:.4g}", f"{found.threshold:.4g}", verdict, f"{hz:.0f} Hz, {seconds:.2f} s")
        rows.append((found.clip.path, *figures))
    title = f"{selection.label} on {selection.edition.name}: {maps[0].member}/{maps[0].detector}"
    output.table(title, ("clip", "score", "threshold", "called", "largest at"), rows)
    for place in places:
        output.text(str(place))


def _document(found: ClipMap, place: Path) -> dict[str, Any]:
    hz, seconds = found.peak
    return {
        "clip": found.clip.path,
        "set": found.clip.set_name,
        "member": found.member,
        "detector": found.detector,
        "figure": str(place),
        "score": found.score,
        "threshold": found.threshold,
        "anomalous": found.anomalous,
        "peak": {"hz": hz, "seconds": seconds, "distance": float(found.distances.max())},
    }
