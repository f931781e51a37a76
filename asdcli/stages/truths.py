"""Labels of test clips for what is evaluated: from places that a user names, from clip names, or from the root."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import Unit
from asdcli.challenge.editions.truth import Truth, read_truth, read_truths, truth_from_names
from asdcli.errors import UserError
from asdcli.stages.packed import unpacked
from asdcli.workspace.places import Workspace


def given_truth(places: Sequence[Path], edition: Edition) -> Truth | None:
    """The ground truth of the places named, folders, files or zips of repositories, as one; None where none is named.

    Raises UserError for a place that holds none of the edition, and when two contradict each other.
    """
    opened = {place: unpacked(place, _is_csv) if _is_zip(place) else place for place in places}
    try:
        return read_truths(list(opened.values()), edition) if places else None
    except UserError as error:
        said = str(error)
        for place, folder in opened.items():
            said = said.replace(str(folder), str(place))
        raise UserError(said, error.hint) from None


def truth_of(
    workspace: Workspace, edition: Edition, set_name: str, clips: Mapping[Unit, Sequence[str]], given: Truth | None
) -> Truth | None:
    """Labels of one set: the truth given, else the names where they tell, else the truth under the root.

    clips: the names in the score files. A development set keeps the labels in its names beside a given truth that is
    not about its clips.
    """
    if set_name == "dev":
        about = given is not None and any(given.knows(unit, names) for unit, names in clips.items())
        return given if about else truth_from_names(edition, set_name, clips)
    place = workspace.truth(edition.name)
    return given or (read_truth(place, edition) if place.is_dir() else None)


def _is_zip(place: Path) -> bool:
    return place.is_file() and place.suffix.lower() == ".zip"


def _is_csv(path: tuple[str, ...]) -> tuple[str, ...] | None:
    return path if path[-1].lower().endswith(".csv") else None
