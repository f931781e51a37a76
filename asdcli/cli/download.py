"""`asd download`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asdcli.cli import completion, options
from asdcli.cli.console import Output
from asdcli.errors import UserError, unknown

if TYPE_CHECKING:
    from asdcli.challenge.editions.edition import Edition
    from asdcli.download.transport import Line
    from asdcli.stages.download import Job


def register(app: typer.Typer) -> None:
    examples = (
        "asd download demo",
        "asd download dcase2022 --list",
        "asd download dcase2022 --set dev,truth --machine fan",
        "asd download dcase2020 --link /data/dcase2020",
        "asd download beats --from BEATs_iter3.pt",
    )
    app.command(epilog="Examples: " + " · ".join(f"`{example}`" for example in examples))(download)


def download(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            autocompletion=completion.downloads,
            help="demo, an edition such as dcase2022, published weights such as beats, or a name for your own data.",
        ),
    ],
    set_names: Annotated[
        str,
        typer.Option("--set", metavar="SETS", help="Of dev, train, eval, truth, with commas; train belongs to eval."),
    ] = "all",
    machine: options.Machine = None,
    show_list: Annotated[
        bool, typer.Option("--list", help="Show files, sizes and what is here already; fetch nothing.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Count the clips of the tree and say what is missing; fetch nothing.")
    ] = False,
    link: Annotated[
        Path | None,
        typer.Option(
            help="Use an existing tree in place: the folder of dev_data/ and eval_data/, one of those, or raw/."
        ),
    ] = None,
    zips: Annotated[Path | None, typer.Option(help="Folder of zips fetched by hand; they stay there.")] = None,
    keep_zip: Annotated[bool, typer.Option("--keep-zip", help="Keep the zips, in zips/ beside the tree.")] = False,
    mirror: Annotated[
        str,
        typer.Option(metavar="URL", envvar="ASD_MIRROR", help="Fetch from there, under the paths of the originals."),
    ] = "",
    from_file: Annotated[Path | None, typer.Option("--from", help="Weights: the file, fetched by hand.")] = None,
    jobs: Annotated[int, typer.Option(help="Files at once; the host slows down whoever asks for many.", min=1)] = 2,
    seed: Annotated[int, typer.Option(help="Seed of the demo data.", min=0)] = 0,
) -> None:
    """Bring data under the root: an edition of the challenge, the synthetic demo data, a tree you have, or weights.

    Fetches only what is missing and goes on where it was stopped. Own data is a tree of `<machine>/train` and
    `<machine>/test` with wav files, linked under any name.
    """
    from asdcli.challenge.editions.edition import edition_names, load_edition
    from asdcli.download.transport import Line
    from asdcli.download.weights import weights_names

    output: Output = context.obj
    line = Line.to(mirror)
    if name in weights_names():
        _weights(output, name, from_file, line)
        return
    if from_file:
        raise UserError(f"--from is for weights ({', '.join(weights_names())}), not for {name}.", "--link or --zips")
    if link is None and name not in edition_names():
        raise unknown("edition or weights", name, (*edition_names(), *weights_names()))
    edition = load_edition(name, own=link is not None)
    parts = _parts(set_names)
    if (link is not None or name == "demo") and (show_list or verify or zips or keep_zip or machine):
        raise UserError(
            "--list, --verify, --zips, --keep-zip and --machine are for editions that are fetched.",
            f"asd download {name}{' --link TREE' if link else ''}",
        )
    if link is not None:
        from asdcli.download.link import link_tree

        link_tree(output.workspace, edition, link, _one_set(parts))
    elif name == "demo":
        _make_demo(output, seed)
    else:
        from asdcli.stages.download import Job

        if zips is not None and not zips.is_dir():
            raise UserError(f"There is no folder {zips}.")
        job = Job(output.workspace, output.ui, edition, line, zips=zips, keep_zips=keep_zip, jobs=jobs)
        if show_list or verify:
            (_show_list if show_list else _show_checks)(output, job, parts, machine)
            return
        job.run(parts, machine)
    _show_summary(output, edition)


def _parts(text: str) -> tuple[str, ...]:
    from asdcli.stages.download import CHOICES

    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in (*CHOICES, "all"):
            raise unknown("set", word, (*CHOICES, "all"))
    return tuple(part for part in CHOICES if part in words or "all" in words)


def _one_set(parts: tuple[str, ...]) -> str | None:
    """With --link: the only set to link, None for all; additional training clips lie in the tree of eval."""
    sets = {"eval" if part == "train" else part for part in parts if part != "truth"}
    return next(iter(sets)) if len(sets) == 1 else None


def _show_list(output: Output, job: Job, parts: tuple[str, ...], machines: list[str] | None) -> None:
    rows = job.listing(parts, machines)
    about = job.edition.about()
    if output.json({"edition": job.edition.name, "about": about, "files": [vars(row) for row in rows]}):
        return
    output.table(
        f"{job.edition.name}: {job.edition.title}",
        ("set", "machine", "file", "MB", "state", "record"),
        [
            (row.part, row.machine, row.file, f"{row.size / 1e6:.1f}" if row.size is not None else "-", row.state, page)
            for row in rows
            for page in [row.url.partition("/files/")[0]]
        ],
    )
    for name, value in about.items() if output.settings.verbose else []:
        output.text(f"{name.replace('_', ' ').capitalize()}: {_in_words(value)}")
    missing = [row.size for row in rows if row.state not in ("here", "linked")]
    known = sum(size for size in missing if size is not None)
    output.text(
        f"To fetch: {len(missing)} files{f', {known / 1e9:.2f} GB' if known else ''}. Zips may be fetched by "
        f"hand and put into {job.tree.zips}."
    )


def _in_words(value: Any) -> str:
    """Plain data in one line."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_in_words(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ("; " if any(" " in part for part in value) else ", ").join(value)
    return str(value)


def _show_checks(output: Output, job: Job, parts: tuple[str, ...], machines: list[str] | None) -> None:
    checks = job.verify(parts, machines)
    wrong = [found for found in checks if found.problems]
    if not output.json({"edition": job.edition.name, "complete": not wrong, "checks": [vars(row) for row in checks]}):
        output.table(
            f"{job.edition.name}: {job.edition.title}",
            ("set", "machine", "clips", "state"),
            [(row.part, row.machine, str(row.clips or "-"), "; ".join(row.problems) or "complete") for row in checks],
        )
        output.text("The tree is complete." if not wrong else f"{len(wrong)} of {len(checks)} are not complete.")
    if wrong:
        raise typer.Exit(1)


def _weights(output: Output, name: str, source: Path | None, line: Line) -> None:
    from asdcli.download.weights import bring_weights, load_weights, take_weights

    weights, folder = load_weights(name), output.workspace.weights
    output.ui.say(weights.about)
    if weights.is_in(folder):
        output.ui.say("It is here already.")
    elif source is not None:
        take_weights(weights, source, folder)
    else:
        bring_weights(weights, folder, line, output.ui)
    path = folder / weights.file
    if not output.json({"weights": name, "path": str(path), "sha256": weights.sha256}):
        output.text(f"Weights: {path}")


def _make_demo(output: Output, seed: int) -> None:
    from asdcli.audio.demo import CLIPS, generate_demo

    with output.ui.progress("make demo data", CLIPS) as progress:
        generate_demo(output.workspace.root, seed, progress.show)
    output.workspace.remember(edition="demo")
    output.ui.say("The demo data are synthetic: generated machines, not a DCASE data set.")


def _show_summary(output: Output, edition: Edition) -> None:
    """What lies on disk, machine by machine."""
    from asdcli.download.link import summary

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
