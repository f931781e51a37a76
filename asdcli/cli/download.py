"""`asd download`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asdcli.cli import options
from asdcli.cli.console import Output
from asdcli.errors import UserError

if TYPE_CHECKING:
    from asdcli.challenge.editions import Edition


def register(app: typer.Typer) -> None:
    app.command(epilog="Examples: `asd download demo` · `asd download dcase2020 --link /data/dcase2020`")(download)


def download(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="demo, an edition such as dcase2020, or a name for your own data.")],
    link: Annotated[
        Path | None,
        typer.Option(
            help="Use an existing tree in place: the folder of dev_data/ and eval_data/, one of those, or raw/."
        ),
    ] = None,
    set_name: Annotated[
        options.SetName, typer.Option("--set", help="With --link: only this set, or what a bare raw/ folder is.")
    ] = options.SetName.all,
    seed: Annotated[int, typer.Option(help="Seed of the demo data.", min=0)] = 0,
) -> None:
    """Bring data under the root: the synthetic demo data, or a tree you already have.

    Own data is a tree of `<machine>/train` and `<machine>/test` with wav files, linked under any name.
    """
    from asdcli.challenge.editions import load_edition
    from asdcli.pipeline.data import link_tree, summary

    output: Output = context.obj
    edition = load_edition(name, own=link is not None)
    if link is not None:
        link_tree(output.workspace, edition, link, None if set_name == "all" else set_name.value)
    elif name == "demo":
        _make_demo(output, seed)
    else:
        raise _not_yet(edition)
    rows = summary(output.workspace, output.ui, edition)
    folder = output.workspace.data(edition.name)
    if output.json({"edition": edition.name, "path": str(folder), "machines": [vars(row) for row in rows]}):
        return
    output.table(
        f"{edition.name}: {edition.title}",
        ("set", "machine", "sections", "train", "test normal", "test anomaly", "test unlabelled"),
        [
            (
                row.set_name,
                row.machine,
                " ".join(row.sections),
                *(str(n or "-") for n in (row.train, row.test_normal, row.test_anomaly, row.test_unlabelled)),
            )
            for row in rows
        ],
    )
    output.text(f"Data: {folder}")


def _make_demo(output: Output, seed: int) -> None:
    from asdcli.audio.demo import CLIPS, generate_demo

    with output.ui.progress("make demo data", CLIPS) as progress:
        generate_demo(output.workspace.root, seed, progress.show)
    output.workspace.remember(edition="demo")
    output.ui.say("The demo data are synthetic: generated machines, not a DCASE data set.")


def _not_yet(edition: Edition) -> UserError:
    pages = ", ".join(f"https://zenodo.org/records/{archive.record}" for archive in edition.downloads.values())
    return UserError(
        f"asd cannot fetch {edition.name} over the network yet; its zips are at {pages}.",
        f"Unpack them to dev_data/raw and eval_data/raw, then: asd download {edition.name} --link THAT_FOLDER",
    )
