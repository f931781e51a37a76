"""Thresholds that were set for a run (`asd threshold`), in a file beside its weights: the recipe's rule gives way.

`thresholds.json` holds them by machine, detector and section. What one was made for (run, detector, bank) is kept with
it: for another it does not count, which is said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asdcli.stages.embed import EMBEDDING
from asdcli.stages.predicting.added import print_of
from asdcli.stages.runs import Run
from asdcli.stages.selection import Selection
from asdcli.ui import Ui
from asdcli.workspace.files import read_json, write_atomic
from asdcli.workspace.made import digest

FILE = "thresholds.json"


@dataclass(frozen=True)
class SetThreshold:
    """Above `value` a clip of a section is called anomalous.

    said: as the user asked for it. source: whose scores it comes from, in words; empty for a given value. clips, rank:
    it is the `rank`-th smallest of so many scores. wanted, promised: rates of false alarms; none is promised where a
    network has learnt from the clips. held_out: the scores, where they are of clips beside the bank.
    """

    value: float
    said: str
    source: str = ""
    clips: int = 0
    rank: int = 0
    wanted: float | None = None
    promised: float | None = None
    held_out: list[float] = field(default_factory=list)


BySection = Mapping[str, SetThreshold]


def bank_print(selection: Selection, run: Run, machine: str, detector: str) -> str:
    """What the scores of a detector of a run depend on, beside the clips that are scored."""
    method = selection.method(run.member, machine)
    traits = selection.traits(method)
    return digest(
        {
            "run": run.made_from,
            "view": selection.traits(run.method).view,
            "detector": method.detectors[detector].model_dump(mode="json"),
            "code": traits.detectors[detector]["code"][0],
            "numbers": {"embedding": EMBEDDING},
            "added": print_of(run.folder, machine),
        }
    )


def read_set(ui: Ui, folder: Path, machine: str, detector: str, made_for: str) -> dict[str, SetThreshold]:
    """The thresholds that were set for a run, by section; what is damaged or of something else is left out, and said.

    folder: of the run; made_for: as `bank_print` tells it today.
    """
    if not (folder / FILE).is_file():
        return {}
    entry = _read(ui, folder).get(machine, {}).get(detector)
    if entry is None:
        return {}
    if entry["made_for"] != made_for:
        ui.warn(
            f"{folder / FILE}: the threshold of {machine} was set for another {detector} or another bank than today's; "
            "the recipe's rule decides until asd threshold sets it again."
        )
        return {}
    return {section: SetThreshold(**values) for section, values in entry["sections"].items()}


def write_set(ui: Ui, folder: Path, machine: str, detector: str, made_for: str, sections: BySection) -> None:
    """Set the thresholds of a machine's sections, those of a detector; without any, the recipe's rule decides again."""
    known = _read(ui, folder)
    others = {name: entry for name, entry in known.get(machine, {}).items() if name != detector}
    if sections:
        values = {section: asdict(one) for section, one in sections.items()}
        others[detector] = {"made_for": made_for, "sections": values}
    known = {
        **{name: entry for name, entry in known.items() if name != machine},
        **({machine: others} if others else {}),
    }
    document = {"thresholds": known, "checksum": digest(known)}
    write_atomic(folder / FILE, json.dumps(document, indent=1).encode())


def _read(ui: Ui, folder: Path) -> dict[str, Any]:
    path = folder / FILE
    if not path.exists():
        return {}
    loaded = read_json(path)
    known = loaded.get("thresholds") if isinstance(loaded, dict) else None
    if not isinstance(known, dict) or loaded.get("checksum") != digest(known):
        ui.warn(f"{path} is not what was written: the recipe's rule decides until asd threshold sets it again.")
        return {}
    return known
