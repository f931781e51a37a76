"""`asd ensemble`: score files of several systems to the fused score and decision files.

Each system's scores are normalised per machine and section, with the statistics of its training clips unless asked
otherwise, and averaged with weights: equal ones, given ones, or those that a search finds on the development set.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import decision_name, score_name, write_values
from asdcli.challenge.editions.truth import Truth
from asdcli.errors import UserError
from asdcli.recipe.schema import Norm
from asdcli.scores.aligned import BY_TEST_CLIPS, Aligned, align
from asdcli.scores.decisions import Decider, Rules, few_clips
from asdcli.scores.domain_gap import steadiest
from asdcli.scores.folders import ScoreFolder, is_written_here
from asdcli.scores.fuse import fuse
from asdcli.scores.shares import FILE, Best, Choice, Shares, choice_to_dict, read_shares, relative, write_shares
from asdcli.scores.weighing import Worth, equal_shares, weigh
from asdcli.stages.selection import warn_of_damage
from asdcli.stages.truths import given_truth
from asdcli.ui import Ui
from asdcli.workspace.made import Made, digest
from asdcli.workspace.places import SETS

FUSION = 3  # to be raised when this stage makes other files of the same scores than before


@dataclass(frozen=True)
class Fused:
    """What lies in the folder `out`: the sets and machines it holds, and how it was made.

    weights: each system's share. worths: scores by set, that with whose labels shares are chosen first: the development
    set, and the evaluation set where ground truth was named. Where the development set has no labels, `not_evaluated`
    tells it. few_clips: a sentence about thresholds from few training clips, if there are any.
    """

    out: Path
    norm: Norm
    shares: Shares
    sets: tuple[str, ...]
    machines: tuple[str, ...]
    worths: dict[str, Worth]
    not_evaluated: str = ""
    few_clips: str = ""

    @property
    def worth(self) -> Worth | None:
        """On the set with whose labels shares are chosen."""
        return next(iter(self.worths.values()), None)


def folders_name(folders: Sequence[Path]) -> str:
    """The folder name of a fusion of any folders: others have another, so that nothing is written over."""
    return f"folders-{digest(sorted(str(folder.resolve()) for folder in folders))[:8]}"


def part_name(name: str, part: Sequence[str]) -> str:
    """The folder name of a fusion of a part of the data; many long names are a hash."""
    words = "-".join(part)
    return f"{name}.only-{words if len(words) <= 100 else digest(words)}" if part else name


def run(
    ui: Ui,
    edition: Edition,
    folders: Sequence[ScoreFolder],
    choice: Choice,
    norm: Norm,
    out: Path,
    rules: Rules | None = None,
    truth_places: Sequence[Path] = (),
    held: AbstractContextManager[None] | None = None,
) -> Fused:
    """Fuse the folders' scores of every set they all hold and write them to `out` in the edition's form.

    truth_places: ground truth, where clip names do not tell it. Shares are searched for with the labels of the
    development set, or with those of the evaluation set where the systems have no other. Decisions are made by the
    rules of the systems' recipe; without any by the gamma distribution's 0.9, as DCASE does. held: holds `out` against
    other processes while it is written, and not where it is fresh.
    """
    names = [folder.name for folder in folders]
    if len(set(names)) != len(names):
        raise UserError(f"Two systems are called {max(names, key=names.count)}; rename a folder.")
    if isinstance(choice, Shares):
        choice.check(names)
        names = choice.used()
    sets = [name for name in SETS if all(folder.scores.get(name) for folder in folders if folder.name in names)]
    if not sets:
        raise UserError("The systems have no set in common.", "asd score brings the members of a recipe up to date.")
    if norm in BY_TEST_CLIPS:
        ui.warn(
            "Scores are normalised with statistics of the test clips: against the challenge rules on evaluation sets."
        )
    about = {"edition": edition.name, "normalisation": norm, "choice": choice_to_dict(choice)}
    sources = [(folder.name, _content(folder)) for folder in folders]
    thresholds = [(*of, rule.model_dump(mode="json")) for of, rule in (rules or {}).items()]
    numbers = {"fusion": FUSION}
    truth = given_truth(truth_places, edition)
    labels = [[*section, sorted(clips.items())] for section, clips in truth.clips.items()] if truth else None
    made_from = digest({**about, "sources": sources, "thresholds": thresholds, "numbers": numbers, "labels": labels})
    if (fused := _read(out, made_from)) is None:
        with held or nullcontext():
            if (fused := _read(out, made_from)) is None:  # another process may have made it in the meantime
                if not warn_of_damage(ui, Made(out), made_from) and Made(out).is_fresh(made_from):
                    ui.warn(f"{Made(out).path} does not tell all of a fusion; it is made again.")
                _make(ui, edition, folders, choice, norm, rules or {}, out, sets, made_from, truth, truth_places)
                fused = _read(out, made_from)
    assert fused is not None
    return fused


def _make(
    ui: Ui,
    edition: Edition,
    folders: Sequence[ScoreFolder],
    choice: Choice,
    norm: Norm,
    rules: Rules,
    out: Path,
    sets: Sequence[str],
    made_from: str,
    truth: Truth | None,
    truth_places: Sequence[Path],
) -> None:
    """Find the shares, write everything, and `made.json` last."""
    names = [folder.name for folder in folders]
    labelled = _labelled_sets(folders, sets, truth)
    shares, worths, not_evaluated = _weigh(ui, edition, folders, choice, norm, labelled)
    used = [folder for folder in folders if folder.name in shares.used()]
    machines = sorted({unit.machine for folder in used for name in sets for unit in folder.scores[name]})
    decider = Decider(used, shares, rules, norm)
    if edition.decision_file and (sentence := decider.disagreement(machines)):
        ui.warn(sentence)
    files: list[str] = []
    counts: Counter[str] = Counter()
    for set_name in sets:
        aligned = align(used, set_name, norm)
        files += _write(ui, edition, decider, aligned, out, set_name, files)
        counts |= _training_clips(aligned)
    about: dict[str, Any] = {"edition": edition.name, "normalisation": norm}
    found = {} if isinstance(choice, Shares | None) else vars(choice)
    objective = {"objective": next(iter(worths.values())).chosen} if worths else {}
    write_shares(out, shares, names, {**about, **found, **objective})
    _remove_others(ui, out, files)
    Made(out).write(
        made_from,
        [FILE, *files],
        **about,
        choice=choice_to_dict(choice),
        oracle=shares.oracle,
        weights={name: share for name, share in relative(shares.vector(names), names).items() if name in shares.used()},
        sets=list(sets),
        machines=machines,
        worths={name: asdict(each) for name, each in worths.items()},
        truth=[str(place.resolve()) for place in truth_places],
        not_evaluated=not_evaluated,
        few_clips=few_clips(counts) if edition.decision_file else "",
        sources={folder.name: str(folder.path) for folder in folders},
    )


def _read(out: Path, made_from: str) -> Fused | None:
    """The fusion in a folder; None where it is not there, not fresh, or where its note does not tell all of it."""
    if not Made(out).is_fresh(made_from):
        return None
    try:
        told = _Told.model_validate(Made(out).read()["all"])
    except ValidationError:
        return None
    shares, _ = read_shares(out / FILE)
    about = told.worths, told.not_evaluated, told.few_clips
    return Fused(out, told.normalisation, shares, tuple(told.sets), tuple(told.machines), *about)


class _Told(BaseModel):
    """What `made.json` says of a fusion beside what it was made from."""

    normalisation: Norm
    sets: list[str]
    machines: list[str]
    worths: dict[str, Worth]
    weights: dict[str, float]
    not_evaluated: str
    few_clips: str


def _labelled_sets(folders: Sequence[ScoreFolder], sets: Sequence[str], truth: Truth | None) -> dict[str, Truth | None]:
    """The ground truth of each set that may have labels; None for a development set whose clip names tell them."""

    def about(name: str) -> Truth | None:
        clips = folders[0].read(name) if truth else {}
        return truth if truth and any(truth.knows(unit, names) for unit, (names, _) in clips.items()) else None

    found = {name: about(name) for name in sets}
    return {name: known for name, known in found.items() if name == "dev" or known}


def _weigh(
    ui: Ui,
    edition: Edition,
    folders: Sequence[ScoreFolder],
    choice: Choice,
    norm: Norm,
    labelled: Mapping[str, Truth | None],
) -> tuple[Shares, dict[str, Worth], str]:
    """Shares, their worth by set, and why there is none. A search needs labels; others do without."""
    if isinstance(choice, Best) and choice.by == "domain_gap":
        choice = steadiest(edition, folders, choice)
    found: dict[str, Worth] = {}
    not_evaluated = ""
    searched = not isinstance(choice, Shares | None)
    if searched and not labelled:
        raise UserError(
            "Weights are searched for on the development set, and the systems have no scores of it in common.",
            f"--weights {FILE}, of a search on the development set",
        )
    shares = choice if isinstance(choice, Shares) else equal_shares([folder.name for folder in folders])
    for name, truth in labelled.items():
        try:
            shares, found[name] = weigh(ui, edition, folders, norm, shares if found else choice, name, truth)
        except UserError as error:
            if searched and not found:
                raise
            not_evaluated = str(error)
    return shares, found, not_evaluated


def _write(
    ui: Ui, edition: Edition, decider: Decider, aligned: Aligned, out: Path, set_name: str, done: Sequence[str]
) -> list[str]:
    """Write the fused files of one set and of its training clips that are not `done`; returns names below `out`.

    Sections of own recordings may be in both sets, with the same training clips.
    """
    names, shares = [folder.name for folder in decider.folders], decider.shares
    train = {unit: fuse(scores, shares.vector(names, unit.machine)) for unit, (_, scores) in aligned.train.items()}
    files, undecided = [], []
    for unit, values in train.items():
        name = f"train/{score_name(edition, unit)}"
        if name not in done:
            files.append(name)
            write_values(out / name, aligned.train[unit][0], values)
    for unit, (clips, scores) in aligned.test.items():
        values = fuse(scores, shares.vector(names, unit.machine))
        files.append(f"{set_name}/{score_name(edition, unit)}")
        write_values(out / files[-1], clips, values)
        if edition.decision_file is None:
            continue
        decisions = decider.decide(set_name, unit, clips, values, train)
        if decisions is None:
            undecided.append(unit)
            continue
        files.append(f"{set_name}/{decision_name(edition, unit)}")
        write_values(out / files[-1], clips, decisions)
    if undecided:
        count = f"{len(undecided)} of {len(aligned.test)} files, the first of {undecided[0]}"
        ui.warn(f"No training scores and no decision files to decide from ({count}); only scores are written.")
    return files


def _training_clips(aligned: Aligned) -> Counter[str]:
    """Training clips by section."""
    counts: Counter[str] = Counter()
    for unit, (clips, _) in aligned.train.items():
        counts[f"{unit.machine} section {unit.section}"] += len(clips)
    return counts


def _content(folder: ScoreFolder) -> str:
    """A hash of every file that a fusion reads."""
    hashed = hashlib.sha256("".join(str(sorted(part)) for part in (folder.turned, folder.gone) if part).encode())
    for files in (*folder.scores.values(), *folder.decisions.values(), folder.train):
        for path in files.values():
            hashed.update(path.name.encode() + path.read_bytes())
    return hashed.hexdigest()


def _remove_others(ui: Ui, out: Path, files: Sequence[str]) -> None:
    """Files of an earlier fusion in this folder that this one does not have; nobody else's files are touched."""
    before = Made(out).read().get("all", {}).get("files", [])
    if others := sorted(name for name in set(before) - {*files, FILE} if is_written_here(out, name)):
        ui.warn(f"{out} held a fusion of more: {len(others)} files of it are removed (first: {others[0]}).")
    for name in others:
        (out / name).unlink()
