"""What has left the data since asd scored it: machines, sections and clips that a folder of scores still tells of."""

from __future__ import annotations

from dataclasses import replace

from asdcli.audio.clips import scan_clips
from asdcli.audio.units import clip_name, units_of
from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import Unit
from asdcli.errors import UserError
from asdcli.scores.folders import ScoreFolder, below_root
from asdcli.ui import Ui
from asdcli.workspace.made import Made
from asdcli.workspace.places import Workspace

_GONE = "left out, since they are of what is no longer in the data"


def without_departed(workspace: Workspace, ui: Ui, folder: ScoreFolder, edition: Edition) -> ScoreFolder:
    """The same system without what has left the data, which is said; folders that asd did not make are left alone.

    Only of sets whose clips are here now can be told what has left them. Raises UserError when nothing remains.
    """
    place = below_root(workspace, folder.path)
    if place[:1] not in (("scores",), ("ensembles",)) or edition.name not in place or not Made(folder.path).read():
        return folder
    files: list[str] = []
    clips: set[tuple[Unit, str]] = set()
    scores, decisions = dict(folder.scores), dict(folder.decisions)
    for name in folder.scores:
        here = _clips_here(workspace, edition, name)
        if here is None:
            continue
        scores[name] = {unit: path for unit, path in folder.scores[name].items() if unit in here}
        decisions[name] = {unit: path for unit, path in folder.decisions.get(name, {}).items() if unit in here}
        files += [path.name for unit, path in folder.scores[name].items() if unit not in here]
        read = replace(folder, scores=scores).read(name)
        clips |= {(unit, clip) for unit, (names, _) in read.items() for clip in names if clip not in here[unit]}
    if files:
        ui.warn(f"Score files in {folder.path} are {_GONE}: {len(files)}, the first {files[0]}.")
    if clips:
        ui.warn(f"Clips in {folder.path} are {_GONE}: {len(clips)}, the first {min(clips)[1]}.")
    if not any(scores.values()):
        raise UserError(
            f"{folder.path} holds scores of nothing that is in the data of {edition.name} now.", "asd score"
        )
    there = {unit for found in scores.values() for unit in found}
    train = {unit: path for unit, path in folder.train.items() if not files or unit in there}
    return replace(folder, scores=scores, decisions=decisions, train=train, gone=frozenset(clips))


def _clips_here(workspace: Workspace, edition: Edition, set_name: str) -> dict[Unit, set[str]] | None:
    """The names of a set's test clips by unit; None where the set is not here."""
    raw = workspace.raw(edition.name, set_name)
    try:
        clips, _ = scan_clips(raw, edition, set_name)
    except UserError:
        return None
    clips = clips.select(clips.split == "test")
    return {unit: {clip_name(path) for path in clips.path[rows]} for unit, rows in units_of(edition, clips).items()}
