"""`asd ensemble`."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asdcli.cli import options
from asdcli.cli.console import Output
from asdcli.cli.lacking import lacking
from asdcli.errors import UserError

if TYPE_CHECKING:
    from asdcli.challenge.editions.edition import Edition
    from asdcli.recipe.schema import Norm
    from asdcli.scores.folders import ScoreFolder
    from asdcli.scores.shares import Choice
    from asdcli.scores.weighing import Worth
    from asdcli.stages.ensemble import Fused


class NormName(StrEnum):
    train = "train"
    rank = "rank"
    test = "test"
    test_rank = "test-rank"
    none = "none"


EXAMPLE = (
    "Examples: `asd ensemble --grid` · `asd ensemble --system mse` · `asd ensemble DIR_A DIR_B --norm none` · "
    "`asd ensemble EVAL_A EVAL_B --weights fused/weights.yaml`"
)


def register(app: typer.Typer) -> None:
    app.command(epilog=EXAMPLE)(ensemble)


def ensemble(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[SCORES_DIR]...", help="Folders of score files, or zips. Left out: the members of a recipe."
        ),
    ] = None,
    recipe: options.Recipe = None,
    data: options.Data = None,
    grid: Annotated[
        bool, typer.Option("--grid", help="Search for the weights with the best score on the development set.")
    ] = False,
    step: Annotated[float | None, typer.Option(help="Step of the weights in the search. Left out: 0.1.")] = None,
    per_machine: Annotated[
        bool, typer.Option("--per-machine", help="In the search: weights of its own for each machine type as well.")
    ] = False,
    weights: Annotated[
        Path | None, typer.Option(help="Use the weights of this file, such as the weights.yaml of a search.")
    ] = None,
    weight: Annotated[
        list[str] | None, typer.Option(metavar="SYSTEM=WEIGHT", help="Weight of one system; may be repeated.")
    ] = None,
    system: Annotated[str | None, typer.Option(help="A system named in the recipe.")] = None,
    norm: Annotated[
        NormName | None,
        typer.Option(
            help="Normalise each machine and section by the mean and deviation of its training clips, or by ranks "
            "among them; the same by test clips (against the rules on evaluation sets); or not. Left out: as the "
            "weights file or the recipe's system says, or train."
        ),
    ] = None,
    truth: options.Truth = None,
    out: Annotated[Path | None, typer.Option(help="Where to write. Left out: ensembles/ under the root.")] = None,
    machine: options.Machine = None,
    member: options.Member = None,
    set_name: options.Set = options.SetName.all,
    seed: options.Seed = 0,
    device: options.Device = options.AUTO,
    profile: options.Profile = None,
) -> None:
    """Fuse the scores of several systems into the challenge's score and decision files.

    Brings the members of the recipe up to date first. Any folders of score CSVs can be fused as well. Weights are
    equal unless they are given or searched for. With --truth, the score on the evaluation set stands beside that on
    the development set; weights are searched for on it only where there are no scores of the development set. A
    fusion of another seed, or of some members, machines or sets, has a folder of its own.
    """
    output: Output = context.obj
    _one_of(grid=grid, weights=weights, weight=weight, system=system)
    if not grid and (step is not None or per_machine):
        raise UserError("--step and --per-machine belong to a search.", "--grid")
    choice, used_norm = _choice(output, grid, step, per_machine, weights, weight, norm)
    if folders:
        options.refuse_with_folders(context, "recipe", "member", "set_name", "seed", "device", "profile")
        if system is not None:
            raise UserError("--system names a system of a recipe; folders have weights.", "--weight, or --weights FILE")
        edition, fused, systems = _fuse_given(output, folders, data, machine, choice, used_norm, out, truth or [])
    else:
        from asdcli.stages.systems import System, ensemble_folder, fuse_recipe, named_system

        selection = options.selection_of(
            output, recipe=recipe, data=data, machines=machine, members=member, set_name=set_name, seed=seed,
            device=device, profile=profile,
        )  # fmt: skip
        chosen = System(choice, used_norm)
        if system is not None:
            chosen = named_system(selection, system)
            if norm is not None:
                chosen = replace(chosen, norm=used_norm)
            elif chosen.norm != used_norm:
                output.ui.say(f"Normalisation: {chosen.norm} (as system {system} of the recipe says)")
            if chosen.turned:
                sections = ", ".join(sorted(map(" ".join, chosen.turned)))
                output.ui.say(f"Scores of {sections} count with the opposite sign (oracle: test labels told it)")
        elif choice is None and (named := selection.recipe.header.systems):
            output.ui.say(f"All count the same; systems that the recipe names, for --system: {', '.join(named)}")
        place = out or ensemble_folder(selection, system)
        fused, systems = fuse_recipe(selection, chosen, place, truth or [])
        edition = selection.edition
    if not output.json(_document(fused, grid)):
        _draw(output, edition, fused, [folder.name for folder in systems], grid)


def _one_of(**given: Any) -> None:
    named = [f"--{name}" for name, value in given.items() if value]
    if len(named) > 1:
        raise UserError(f"{' and '.join(named)} each choose the weights; give one of them.")


def _choice(
    output: Output,
    grid: bool,
    step: float | None,
    per_machine: bool,
    file: Path | None,
    pairs: list[str] | None,
    norm: NormName | None,
) -> tuple[Choice, Norm]:
    """How the weights are chosen, and the normalisation: the one asked for, or that of the weights file."""
    from asdcli.scores.shares import Grid, Shares, read_shares

    wanted: Norm = norm.value if norm else "train"
    if grid:
        return Grid(0.1 if step is None else step, per_machine), wanted
    if file is not None:
        shares, of_file = read_shares(file)
        if of_file is not None and norm is None:
            output.ui.say(f"Normalisation: {of_file} (as {file} says)")
            return shares, of_file
        if of_file not in (None, wanted):
            output.ui.warn(f"The weights of {file} were found with --norm {of_file}, not {wanted}.")
        return shares, wanted
    return (Shares(dict(map(_pair, pairs))) if pairs else None), wanted


def _pair(text: str) -> tuple[str, float]:
    name, equals, value = text.rpartition("=")
    try:
        return name, float(value if equals else "")
    except ValueError:
        raise UserError(f"--weight {text} is not of the form SYSTEM=WEIGHT.", "--weight my_scores=0.3") from None


def _fuse_given(
    output: Output,
    paths: list[Path],
    data: str | None,
    machines: list[str] | None,
    choice: Choice,
    norm: Norm,
    out: Path | None,
    truth: list[Path],
) -> tuple[Edition, Fused, list[ScoreFolder]]:
    from asdcli.stages import ensemble as stage
    from asdcli.stages.choices import open_score_folders

    edition, systems = open_score_folders(output.workspace, output.ui, paths, data, machines)
    name = stage.folders_name([system.path for system in systems])
    place = out or output.workspace.ensemble(stage.part_name(name, sorted(set(machines or ())))) / edition.name
    held = output.workspace.lock(place)
    fused = stage.run(output.ui, edition, systems, choice, norm, place, truth_places=truth, held=held)
    return edition, fused, systems


def _document(fused: Fused, grid: bool) -> dict[str, Any]:
    """Scores on the set whose labels chose, and on the other one that has labels; weights, and where all of it lies.

    Scores are None without a set that has labels.
    """
    set_name, worth = next(iter(fused.worths.items()), (None, None))
    own = fused.shares.machines
    document = _scores(fused, worth, grid)
    document |= {"weights": dict(fused.shares.common), "out": str(fused.out)}
    document |= {"oracle": fused.shares.oracle, "normalisation": fused.norm, "set": set_name}
    if own:
        common = [machine for machine in fused.machines if machine not in own]
        document |= {"machine_weights": {m: dict(shares) for m, shares in own.items()}, "common_weights_for": common}
    others = {name: each for name, each in fused.worths.items() if name != set_name}
    return document | {name: {**_scores(fused, each, False), "score": each.chosen} for name, each in others.items()}


def _scores(fused: Fused, worth: Worth | None, grid: bool) -> dict[str, Any]:
    """Official scores on one set, where it is all there; `partial` says where it is not."""
    document: dict[str, Any] = {"equal": worth and worth.equal}
    if grid:
        document |= {"search": worth and worth.search}
        document |= {"grid": worth and worth.chosen, "held_out": worth and worth.held_out}
    elif len(set(fused.shares.common.values())) > 1 or fused.shares.machines:
        document["score"] = worth and worth.chosen
        if worth and worth.held_out is not None:
            document["held_out"] = worth.held_out
    document |= {"systems": worth and worth.systems, "partial": worth and worth.partial}
    if worth:
        document |= {"missing": list(worth.missing), "unlabelled": list(worth.unlabelled)}
    return document


def _draw(output: Output, edition: Edition, fused: Fused, systems: list[str], grid: bool) -> None:
    """A row for each system with its weights and its score alone, then the fusion, and what it is worth in words."""
    shares, worth = fused.shares, fused.worth
    sets: dict[str, Worth | None] = {**fused.worths} or {"dev": None}
    set_name = next(iter(sets))
    columns = {"weight": shares.common, **shares.machines}
    scores = [{} if each is None else each.systems for each in sets.values()]
    rows = [
        (n, *(_weight(own.get(n, 0.0)) for own in columns.values()), *(_percent(alone.get(n)) for alone in scores))
        for n in systems
    ]
    blank = [""] * len(columns)
    others = [each for name, each in fused.worths.items() if name != set_name]
    for name, value in _fusions(worth, shares.oracle, grid).items():
        rows.append((name, *blank, _percent(value), *(_percent(_of_row(name, each)) for each in others)))
    synthetic = " (synthetic data)" if edition.synthetic else ""
    titles = [f"{'partial ' * bool(each and each.partial)}{name} score, %" for name, each in sets.items()]
    output.table(f"asd ensemble: {edition.name}{synthetic}", ("system", *columns, *titles), rows, [len(systems) - 1])
    for name, each in fused.worths.items():
        if each.partial:
            output.text(f"The {name} score is partial and not an official one: {_lacking(each)}.")
    if fused.norm.startswith("test"):
        output.text("Normalised by test clips, which is against the rules on evaluation sets.")
    if fused.not_evaluated:
        output.text(f"Not evaluated: {fused.not_evaluated}")
    if fused.few_clips:
        output.text(fused.few_clips)
    if shares.machines:
        output.text(_whose_weights(fused))
    if worth and shares.oracle and (grid or worth.held_out is not None):
        if worth.searched:
            output.text(worth.searched)
        output.text(_verdict(worth))
        if set_name == "eval":
            output.text("The weights were chosen with labels of the evaluation set, which no participant has.")
    output.text(f"Score and decision files: {fused.out}/{{{','.join(fused.sets)}}}")
    output.text(f"Weights: {fused.out / 'weights.yaml'}")


def _of_row(name: str, worth: Worth) -> float | None:
    """On a set that chose nothing, what stands in a row of the fusion."""
    if name.startswith("held out"):
        return None
    return worth.equal if name == "equal weights" else worth.chosen


def _lacking(worth: Worth) -> str:
    found, known = worth.machines
    some = [f"it is of {found} of {known} machine types"] if found < known else []
    return "; ".join([*some, *filter(None, [lacking({"missing": worth.missing, "unlabelled": worth.unlabelled})])])


def _fusions(worth: Worth | None, oracle: bool, grid: bool) -> dict[str, float | None]:
    """Scores of the fusion by what stands before them; what test labels have chosen has the plain number beside it."""
    if worth is None:
        return {"ensemble": None}
    if grid or worth.held_out is not None:
        return {
            "equal weights": worth.equal,
            f"{f'{worth.search} optimum' if worth.search else 'best systems'} (oracle)": worth.chosen,
            "held out (weights found on the other machines)": worth.held_out,
        }
    plain = {} if worth.chosen == worth.equal else {"equal weights": worth.equal}
    return {**plain, "ensemble (oracle)" if oracle else "ensemble": worth.chosen}


def _verdict(worth: Worth) -> str:
    """Whether the search is worth it, by the estimate for machines that the weights did not see."""
    if worth.held_out is None:
        return "There is one machine only: no estimate of what such weights give on a machine that they did not see."
    name, single = max(worth.systems.items(), key=lambda entry: entry[1])
    word = "better" if worth.held_out > single else "not better"
    return (
        f"On machines that the weights did not see the fusion is {word} than the best single system: "
        f"{_percent(worth.held_out)} to {_percent(single)} ({name}, itself chosen with these labels); "
        f"equal weights, chosen without labels, give {_percent(worth.equal)}."
    )


def _whose_weights(fused: Fused) -> str:
    own = [machine for machine in fused.machines if machine in fused.shares.machines]
    common = [machine for machine in fused.machines if machine not in fused.shares.machines]
    sentence = f"Own weights: {', '.join(own) or 'no machine'}."
    return sentence + (f" Common weights (column weight): {', '.join(common)}." if common else "")


def _weight(value: float) -> str:
    return f"{value:.3g}" if value else ""


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"
