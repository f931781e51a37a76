"""The systems of a recipe as score folders: its members' detectors, and their ensemble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from asdcli.errors import UserError
from asdcli.recipe.schema import Norm
from asdcli.scores.decisions import Rules, few_clips
from asdcli.scores.folders import ScoreFolder, open_score_folder
from asdcli.scores.shares import FILE, Best, Choice, Shares, choice_from_dict, read_shares
from asdcli.stages import ensemble, score
from asdcli.stages import train as training
from asdcli.stages.predicting.set_thresholds import bank_print, read_set
from asdcli.stages.runs import run_of
from asdcli.stages.selection import Selection
from asdcli.stages.train import TrainingError
from asdcli.workspace.made import Made


def usable_members(selection: Selection) -> Selection:
    """The selection without the members that could not be trained, which are named; raises if none is left."""
    try:
        training.run(selection)
    except TrainingError as error:
        if not error.members:
            raise
        selection.ui.warn(f"{error} Going on with {', '.join(error.members)}.")
        return replace(selection, members=error.members)
    return selection


Wanted = Callable[[str, str], bool]  # whether a fusion may take the scores of a member's detector


def everything(member: str, detector: str) -> bool:
    return True


def member_folders(selection: Selection, wanted: Wanted = everything) -> list[ScoreFolder]:
    """Score folders of every selected member and detector that is wanted, brought up to date first.

    Of a part of the data they hold that part alone: scores of the rest may lie on disk, but are not up to date.
    """
    detectors = {
        member: [name for name in selection.method(member, None).detectors if wanted(member, name)]
        for member in selection.members
    }
    members = tuple(member for member, names in detectors.items() if names)
    if members != selection.members:  # the same selection keeps what it has opened and asked
        selection = replace(selection, members=members)
    score.run(selection)
    warn_of_few_clips(selection)
    return [
        _narrowed(
            selection,
            open_score_folder(
                selection.workspace, selection.ui, score.score_folder(selection, member, detector), selection.edition
            ),
        )
        for member, names in detectors.items()
        for detector in names
    ]


def warn_of_few_clips(selection: Selection) -> None:
    """Say which thresholds of scores that are up to date come from very few training clips."""
    counts = {}
    for machine in (name for name in selection.machines if name in selection.opened):
        clips = selection.opened[machine].clips
        for section in sorted(set(clips.section.tolist())):
            train = clips.split == "train"
            own = int((train & (clips.section == section)).sum())
            if _is_set(selection, machine, section):
                continue
            counts[f"{machine} section {section}"] = own or int(train.sum())
    if selection.edition.decision_file and (sentence := few_clips(counts)):
        selection.ui.warn(sentence)


def _is_set(selection: Selection, machine: str, section: str) -> bool:
    """Whether every decision about a section is by a threshold that was set, and none by the recipe's rule."""
    for member in selection.members:
        run = run_of(selection, member, machine)
        for name in selection.method(member, machine).detectors:
            made_for = bank_print(selection, run, machine, name)
            if section not in read_set(selection.ui, run.folder, machine, name, made_for):
                return False
    return True


def _narrowed(selection: Selection, folder: ScoreFolder) -> ScoreFolder:
    sets, machines = _part(selection)
    if sets:
        folder = replace(
            folder,
            scores={name: files for name, files in folder.scores.items() if name in sets},
            decisions={name: files for name, files in folder.decisions.items() if name in sets},
        )
    return folder.only(machines) if machines else folder


def _part(selection: Selection) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sets and the machines that a user narrowed the work to; none where it is all there are."""
    sets = selection.workspace.sets(selection.edition.name)
    return (
        selection.sets if len(selection.sets) < len(sets) else (),
        selection.machines if selection.machines != selection.present else (),
    )


def current_ensemble(selection: Selection) -> ScoreFolder:
    """The recipe's ensemble, brought up to date in the way it was made, or made with the defaults.

    Of some machines only it is the one that was made of these, or else what they have in that of all machines. Its
    name tells when its shares were chosen with the labels of the development set.
    """
    place = ensemble_folder(selection)
    whole = ensemble_folder(_of_all_machines(selection))
    if not place.is_dir() and (whole / FILE).is_file():
        choice, norm = read_shares(whole / FILE)
        fused, _ = fuse_recipe(selection, System(choice, norm or "train"), ensemble_folder(selection, "of-all"))
    else:
        system, truth_places = _as_made(selection, place)
        fused, _ = fuse_recipe(selection, system, None, truth_places)
    folder = open_score_folder(selection.workspace, selection.ui, fused.out, selection.edition)
    return replace(folder, name=f"{folder.name} (oracle on dev)") if fused.shares.oracle else folder


class _How(BaseModel):
    """What `made.json` says of how a fusion was made."""

    choice: dict[str, Any] | None = None
    normalisation: Norm = "train"
    truth: list[Path] = []


def _as_made(selection: Selection, place: Path) -> tuple[System, list[Path]]:
    """How the fusion in a folder was made, and the ground truth it was given; the defaults where there is none.

    Where the note of it is damaged, the weights it left are kept.
    """
    made = Made(place)
    try:
        how = _How.model_validate(made.read().get("all", {}))
        if made.fingerprint() is not None or not (place / FILE).is_file():
            return System(choice_from_dict(how.choice), how.normalisation), how.truth
    except ValueError:
        pass
    selection.ui.warn(f"{made.path} is not what was written; the weights in {place / FILE} are kept.")
    choice, norm = read_shares(place / FILE)
    return System(choice, norm or "train"), []


def has_ensemble(selection: Selection) -> bool:
    """Whether the recipe's members were fused on these machines, by themselves or among all."""
    return any(ensemble_folder(chosen).is_dir() for chosen in (selection, _of_all_machines(selection)))


def _of_all_machines(selection: Selection) -> Selection:
    return replace(selection, machines=selection.present)


def ensemble_folder(selection: Selection, system: str | None = None) -> Path:
    """Where the fused scores of a recipe on an edition lie; a named system has a folder of its own.

    So has the fusion of another seed, of some members or of a part of the data, which leaves that of everything, and
    its weights, as they are.
    """
    seed = f"seed_{selection.seed}" if selection.seed else None
    name = ".".join(part for part in (selection.label, system, seed) if part is not None)
    sets, machines = _part(selection)
    every = selection.recipe.members(selection.profile)
    members = selection.members if len(selection.members) < len(every) else ()
    part = (*members, *sets, *machines)
    return selection.workspace.ensemble(ensemble.part_name(name, part)) / selection.edition.name


@dataclass(frozen=True)
class System:
    """How a system is made: how its shares are chosen, what normalises scores, which scores it takes, and of which
    machines and sections with the opposite sign.
    """

    choice: Choice
    norm: Norm
    wanted: Wanted = everything
    turned: frozenset[tuple[str, str]] = frozenset()


def named_system(selection: Selection, name: str) -> System:
    """A system of the recipe."""
    system = selection.recipe.system(name)
    if system.best is not None:
        choice: Choice = Best(system.best, system.per == "machine", system.by)

        def wanted(member: str, detector: str) -> bool:
            return system.member in (None, member) and system.detector in (None, detector)

    else:
        suffix = f" seed_{selection.seed}" if selection.seed else ""
        shares = {f"{key}{suffix}": share for key, share in system.weights.items()}
        choice = Shares(shares, oracle=system.oracle)

        def wanted(member: str, detector: str) -> bool:
            return f"{member}/{detector}" in system.weights

    turned = frozenset((machine, section) for machine, _, section in (key.partition(" ") for key in system.turned))
    return System(choice, system.normalisation, wanted, turned)


def fuse_recipe(
    selection: Selection, system: System, out: Path | None, truth_places: Sequence[Path] = ()
) -> tuple[ensemble.Fused, list[ScoreFolder]]:
    """Fuse the recipe's members, or what the system takes of them, into `out`, or where the recipe's ensemble lies."""
    folders = [folder.turn(system.turned) for folder in member_folders(selection, system.wanted)]
    if not folders:
        raise UserError(
            f"Recipe {selection.recipe.name} has no scores for this system: no chosen member has a detector it takes.",
            "--member narrows the choice; members and detectors: asd recipes show",
        )
    place = out or ensemble_folder(selection)
    held, rules = selection.workspace.lock(place), _rules(selection, folders)
    fused = ensemble.run(
        selection.ui, selection.edition, folders, system.choice, system.norm, place, rules, truth_places, held
    )
    return fused, folders


def _rules(selection: Selection, folders: list[ScoreFolder]) -> Rules:
    """The threshold of each member on each machine, by the name of the score folder, which begins with the member."""
    return {
        (folder.name, machine): selection.method(folder.name.partition("/")[0], machine).threshold
        for folder in folders
        for machine in sorted({unit.machine for files in folder.scores.values() for unit in files})
    }
