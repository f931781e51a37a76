"""`asd evaluate`."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asdcli.cli import options
from asdcli.cli.console import Output
from asdcli.cli.lacking import lacking
from asdcli.errors import WorkError

if TYPE_CHECKING:
    from asdcli.challenge.editions.edition import Edition
    from asdcli.challenge.metrics.evaluation import Evaluation
    from asdcli.scores.folders import ScoreFolder
    from asdcli.stages.evaluate import Result, Standing
    from asdcli.stages.looking.published import Comparison


def register(app: typer.Typer) -> None:
    example = (
        "Examples: `asd evaluate` · `asd evaluate my_scores --data dcase2022` · `asd evaluate eval_scores --truth DIR`"
    )
    app.command(epilog=example)(evaluate)


def evaluate(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[SCORES_DIR]...", help="Folders of score files, or zips. Left out: the recipe used last."
        ),
    ] = None,
    data: options.Data = None,
    recipe: options.Recipe = None,
    machine: options.Machine = None,
    member: options.Member = None,
    truth: options.Truth = None,
    set_name: Annotated[options.SetName, typer.Option("--set", help="Which sets to evaluate.")] = options.SetName.all,
    partial: Annotated[
        bool, typer.Option("--partial", help="Where files are missing: a score of the others, called partial.")
    ] = False,
    bootstrap: Annotated[int, typer.Option(help="Resamples behind the 95 % interval; 0 for none.", min=0)] = 1000,
    against_published: Annotated[
        bool, typer.Option("--against-published", help="Beside it, the numbers the recipe's paper printed.")
    ] = False,
    seed: options.Seeds = options.FIRST_SEED,
    device: options.Device = options.AUTO,
    profile: options.Profile = None,
) -> None:
    """Compute the official numbers of score files, whoever made them.

    Labels come from the clip names (dev sets) or from ground-truth files (eval sets). AUC, pAUC and the official score
    are those of the edition's own evaluator; the interval is a stratified bootstrap over clips. Several systems are
    compared with the first on the same resampled clips; trainings with several seeds count as one system.
    """
    from asdcli.stages import evaluate as stage

    output: Output = context.obj
    if folders:
        own = ("member", "seed", "device", "profile", *(() if against_published else ("recipe",)))
        options.refuse_with_folders(context, *own)
        from asdcli.stages.choices import open_score_folders

        edition, opened = open_score_folders(output.workspace, output.ui, folders, data, machine)
    else:
        edition, opened = _own(
            output, data=data, recipe=recipe, machines=machine, members=member, seeds=seed, device=device,
            profile=profile,
        )  # fmt: skip
    results = stage.run(
        output.workspace, output.ui, edition, opened, truth or (), set_name.value, bootstrap, partial, machine or ()
    )
    standings = stage.standings(results)
    documents = [{"system": r.system, "path": str(r.path), **r.evaluation.as_dict()} for r in results]
    document = documents[0]
    if len(documents) > 1:
        document = {**document, "results": documents, "comparison": [standing.as_dict() for standing in standings]}
    comparisons = _compare(output, edition, results, recipe) if against_published else []
    if against_published:
        document["published"] = [comparison.as_dict() for comparison in comparisons]
    if output.json(document):
        return
    verbose = output.settings.verbose
    for result in results if verbose or len(standings) == len(results) else []:
        _draw(output, edition, result, decisions=len(results) == 1 or verbose)
    if len(results) > 1:
        _draw_standings(output, edition, standings)
    for comparison in comparisons:
        _draw_comparison(output, comparison)


def _own(output: Output, seeds: list[int], **chosen: Any) -> tuple[Edition, list[ScoreFolder]]:
    """The scores of the recipe's members, brought up to date, and its ensemble if there is one of all of them.

    A member that cannot be trained is left out, and named.
    """
    from asdcli.stages.systems import current_ensemble, has_ensemble, member_folders, usable_members

    folders: list[ScoreFolder] = []
    for seed in dict.fromkeys(seeds):
        selection = usable_members(options.selection_of(output, seed=seed, **chosen))
        folders += member_folders(selection)
    whole = selection.members == selection.recipe.members(selection.profile) and len(set(seeds)) == 1
    if whole and has_ensemble(selection):
        try:
            folders.append(current_ensemble(selection))
        except (OSError, WorkError) as error:  # to be made again, in a root that may only be read
            if os.access(selection.workspace.root, os.W_OK):
                raise
            output.ui.warn(f"The ensemble is left out, since it is not up to date: {error}")
    return selection.edition, folders


RANKING = {
    "auc": "AUC",
    "auc_all": "AUC all",
    "auc_source": "AUC source",
    "auc_target": "AUC target",
    "pauc": "pAUC",
    "pauc_source": "pAUC source",
    "pauc_target": "pAUC target",
    "hmean": "hmean",
    "separability": "separability",
}
SEPARABILITY = "Separability: mean score of the anomalous clips minus that of the normal ones, in units of the scores."
DECISIONS = {
    f"{metric}{domain and '_' + domain}": f"{name} {domain}".strip()
    for metric, name in (("precision", "precision"), ("recall", "recall"), ("f1", "F1"))
    for domain in ("", "source", "target")
}


def _draw(output: Output, edition: Edition, result: Result, decisions: bool) -> None:
    """The ranking metrics of one system and set, its decisions if wanted, the official score, and notes."""
    evaluation = result.evaluation
    synthetic = " (synthetic data)" if edition.synthetic else ""
    title = f"{result.system}: {edition.name} {evaluation.set_name} set{synthetic}, in % but for the separability"
    _draw_table(output, title, evaluation, RANKING)
    output.text(SEPARABILITY)
    if decisions:
        _draw_table(output, f"{result.system}: decisions, in %", evaluation, DECISIONS)
    output.text(_verdict(evaluation))
    for note in evaluation.notes:
        output.text(f"Note: {note}")


def _draw_table(output: Output, title: str, evaluation: Evaluation, columns: dict[str, str]) -> None:
    from asdcli.stages.evaluate import rows_of

    rows = _single_rows(evaluation, list(rows_of(evaluation)))
    names = [n for n in columns if any(not math.isnan(values.get(n, math.nan)) for *_, values in rows)]
    names = [n for n in names if f"{n}_source" not in names]  # a pooled value beside its parts stands in means only
    if not names:
        return
    kind = "decisions" if columns is DECISIONS else "scores"
    cells = [
        (machine, section or _mean(evaluation, machine, kind), *(_number(values.get(name), name) for name in names))
        for machine, section, values in rows
    ]
    machines = [machine for machine, *_ in rows]
    last = [number for number, machine in enumerate(machines) if machine not in machines[number + 1 :]]
    rules = last if len(last) < len(rows) else []
    output.table(title, ("machine", "section", *(columns[name] for name in names)), cells, rules)


def _single_rows(
    evaluation: Evaluation, rows: list[tuple[str, str, dict[str, float]]]
) -> list[tuple[str, str, dict[str, float]]]:
    """Rows in which a machine that has but one section stands once, with the values of both section and mean."""
    single = {
        machine
        for machine, result in evaluation.machines.items()
        if len(result.sections) == 1 and not any(evaluation.lacking(machine).values())
    }
    means = {machine: values for machine, section, values in rows if not section}
    return [
        (machine, section, {**values, **means[machine]} if machine in single else values)
        for machine, section, values in rows
        if section or machine not in single
    ]


def _number(value: float | None, name: str, sign: str = "") -> str:
    """In percent, but for the separability, which is in units of the score."""
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:{sign}.3g}" if name == "separability" else f"{100 * value:{sign}.2f}"


def _mean(evaluation: Evaluation, machine: str, kind: str) -> str:
    """What stands before the means of a machine."""
    part = evaluation.partial_score is not None and evaluation.lacking(machine)[kind]
    return "mean of a part" if part else "mean"


def _verdict(evaluation: Evaluation) -> str:
    value = _with_interval(evaluation.score, evaluation.ci95, "95 % interval ")
    if evaluation.partial_score is not None:
        return f"Partial score: {value}. It is not an official one: {_lacking(evaluation)}."
    if not evaluation.complete:
        return f"No official score: {_lacking(evaluation)}. With --partial the other files have one, called partial."
    if evaluation.official_score is not None:
        return f"Official score: {value}"
    return f"Mean of AUC and pAUC (2020 has no official score): {value}"


def _lacking(evaluation: Evaluation) -> str:
    """What an official score wants and is not there."""
    kinds = {"missing": evaluation.missing, "undecided": evaluation.undecided, "unlabelled": evaluation.unlabelled}
    return lacking({kind: list(map(str, units)) for kind, units in kinds.items()}, evaluation.left_out)


def _with_interval(value: float, ci95: tuple[float, float] | None, words: str = "", sign: str = "") -> str:
    text = "n/a" if math.isnan(value) else f"{100 * value:{sign}.2f}"
    if ci95 is None:
        return text
    low, high = ci95
    return f"{text} ({words}{100 * low:{sign}.2f} to {100 * high:{sign}.2f})"


def _draw_standings(output: Output, edition: Edition, standings: list[Standing]) -> None:
    """All systems in one table, set by set, each beside the first; of three or more the best is marked."""
    from asdcli.stages.evaluate import best_of

    best = best_of(standings)
    rows = [
        (
            standing.system + " (partial)" * standing.partial + " (best by test labels)" * (standing in best),
            standing.set_name,
            str(standing.seeds),
            _with_interval(standing.score.value, standing.score.ci95),
            "" if (apart := standing.difference) is None else _with_interval(apart.value, apart.ci95, sign="+"),
            "" if apart is None or apart.ci95 is None else "yes" if apart.beyond_noise else "no",
        )
        for standing in standings
    ]
    columns = ("system", "set", "seeds", "score (95 % interval)", "minus the first (95 % interval)", "beyond noise")
    kept = [n for n in range(len(columns)) if n not in (4, 5) or any(row[n] for row in rows)]
    kept = [n for n in kept if n != 2 or any(standing.seeds > 1 for standing in standings)]
    output.table(f"{edition.name}, in %", [columns[n] for n in kept], [[row[n] for n in kept] for row in rows])
    _draw_decisions(output, edition, standings)
    if any(standing.difference for standing in standings) and all(standing.seeds == 1 for standing in standings):
        output.text("One training of each: the noise is that of the test clips alone. --seed 0 --seed 1 covers both.")


def _draw_decisions(output: Output, edition: Edition, standings: list[Standing]) -> None:
    """Precision, recall and F1 of all systems that decide: means over machines, sections and seeds."""
    names = [name for name in DECISIONS if any(name in standing.decisions for standing in standings)]
    names = [name for name in names if f"{name}_source" not in names]
    rows = [
        (standing.system, standing.set_name, *(_number(standing.decisions.get(name), name) for name in names))
        for standing in standings
        if standing.decisions
    ]
    if rows:
        columns = ("system", "set", *(DECISIONS[name] for name in names))
        output.table(f"{edition.name}: decisions, means in %", columns, rows)


def _compare(output: Output, edition: Edition, results: list[Result], recipe: str | None) -> list[Comparison]:
    from asdcli.stages.choices import choose_recipe
    from asdcli.stages.looking.published import compare

    chosen, _ = choose_recipe(output.workspace, output.ui, edition, recipe)
    comparisons = compare(chosen, edition, results)
    if not comparisons:
        tables = sorted({f"{t.edition} {t.set} ({t.system})" for t in chosen.header.published})
        output.ui.say(f"Recipe {chosen.name} has no published table for these results; it has: {', '.join(tables)}.")
    return comparisons


def _draw_comparison(output: Output, comparison: Comparison) -> None:
    rows = [
        (
            machine,
            {**RANKING, **DECISIONS}.get(metric, metric),
            _number(published, metric),
            _number(ours, metric),
            "" if ours is None else _number(ours - published, metric, "+"),
        )
        for machine, metric, published, ours in comparison.rows
    ]
    title = f"{comparison.system} against {comparison.source}, in %"
    title += " but for the separability" * any(metric == "separability" for _, metric, *_ in comparison.rows)
    if rows:
        output.table(title, ("machine", "metric", "published", "ours", "difference"), rows)
    else:
        output.text(f"{title}:")
    if comparison.official:
        published, ours = (100 * score for score in comparison.official)
        interval = (
            ""
            if comparison.ci95 is None
            else " (95 % interval {:.2f} to {:.2f})".format(*(100 * bound for bound in comparison.ci95))
        )
        output.text(f"Official score: published {published:.2f}, ours {ours:.2f}{interval}, {ours - published:+.2f}.")
    output.text(comparison.data)
