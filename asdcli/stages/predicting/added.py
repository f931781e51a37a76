"""Normal clips that were added to the bank of a finished run (`asd bank add`), beside its weights.

`<run>/added/<machine>/<version>.npz` holds all clips that were added up to a version, with their embeddings and what
they sound like. The newest version counts; the first bank, without any, is version 1.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from asdcli.audio.clips import ClipTable
from asdcli.audio.portrait import Portrait
from asdcli.detection.bank import Embeddings
from asdcli.errors import UserError
from asdcli.stages.cliparrays import load_arrays, save_arrays
from asdcli.workspace.made import Made, digest

FOLDER = "added"
SPLIT = "added"  # of the clips


@dataclass(frozen=True)
class Added:
    """Clips of no data set that a bank holds beside the training clips."""

    clips: ClipTable
    embeddings: Embeddings
    portraits: Portrait


def version_of(run: Path, machine: str) -> int:
    """The version of a machine's bank that counts."""
    return max((int(part) for part in Made(run / FOLDER / machine).read() if part.isdigit()), default=1)


def print_of(run: Path, machine: str) -> str:
    """What was added, as a short hash; empty where nothing was."""
    version = version_of(run, machine)
    return "" if version == 1 else Made(run / FOLDER / machine).fingerprint(str(version)) or ""


def read_added(run: Path, machine: str) -> Added | None:
    """What was added to a machine's bank; None where nothing was. Raises UserError where it is damaged."""
    version, made = version_of(run, machine), Made(run / FOLDER / machine)
    if version == 1:
        return None
    path = made.folder / f"{version}.npz"
    if not path.is_file() or made.damaged(made.fingerprint(str(version)) or "", str(version)):
        raise UserError(f"{path} is not what was written.", "asd bank undo goes back to the version before.")
    clips, named = load_arrays(path)
    portraits = Portrait(**{field.name: named.pop(f"portrait {field.name}") for field in fields(Portrait)})
    return Added(clips, named, portraits)


def write_added(run: Path, machine: str, added: Added) -> int:
    """Keep all that was added as the next version, and return its number."""
    version, made = version_of(run, machine) + 1, Made(run / FOLDER / machine)
    heard = {f"portrait {field.name}": getattr(added.portraits, field.name) for field in fields(Portrait)}
    name = f"{version}.npz"
    save_arrays(made.folder / name, added.clips, {**heard, **added.embeddings})
    sums = {key: float(np.abs(values).sum()) for key, values in added.embeddings.items()}
    made.write(digest([version, added.clips.columns(), sums]), [name], str(version))
    return version


def forget_newest(run: Path, machine: str) -> int:
    """Go back to the version before, and return its number."""
    version, made = version_of(run, machine), Made(run / FOLDER / machine)
    if version > 1:
        made.forget(str(version))
        (made.folder / f"{version}.npz").unlink(missing_ok=True)
    return version_of(run, machine)
