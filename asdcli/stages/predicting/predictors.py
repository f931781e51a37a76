"""Predictors: beside the weights of a finished run, what else it takes to score any sound of a machine.

`<run>/predictors/<machine>/` holds the embeddings of the training clips (the bank), what normal clips sound like, and
in `predictor.json` the method, each detector's scores of the bank, and which code it is for. With the run's weights
that is all: no data, no store, no recipe.
"""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import asdcli
from asdcli.audio.clips import ClipTable
from asdcli.audio.portrait import Portrait, portrait, stacked
from asdcli.challenge.editions.edition import load_edition
from asdcli.detection.bank import Bank, Embeddings
from asdcli.detection.conformal import Calibration
from asdcli.detection.why import NormalSound
from asdcli.errors import UserError, unknown
from asdcli.recipe.schema import Method
from asdcli.stages import embed
from asdcli.stages.cliparrays import load_arrays, save_arrays
from asdcli.stages.embed import EMBEDDING, load_embedded
from asdcli.stages.features import ClipData, open_stores
from asdcli.stages.looking.describe import plugins
from asdcli.stages.predicting.added import read_added
from asdcli.stages.predicting.set_thresholds import bank_print
from asdcli.stages.runs import Run
from asdcli.stages.selection import Selection, warn_of_damage
from asdcli.stages.train import run_labels
from asdcli.stages.traits import Memory, Traits
from asdcli.training.labels import CLASS
from asdcli.ui import Ui
from asdcli.workspace.files import read_json, write_atomic
from asdcli.workspace.made import Made, digest
from asdcli.workspace.places import Workspace

FOLDER, ABOUT, BANK, NORMAL = "predictors", "predictor.json", "bank.npz", "normal.npz"
PREDICTOR = 1  # to be raised when other files are written, or others are made of the same bank


@dataclass(frozen=True)
class About:
    """What a predictor says of itself.

    recipe, edition, member, machine: whose it is. method: what runs for the machine, as a recipe has it. code: digests
    of all that computes scores, by component. length: samples of the longest training clip, at 16 kHz. systems: of each
    detector what its thresholds are made for (`bank_print`), and by section the scores of the bank's own clips and the
    threshold of the recipe. versions: of what made it.
    """

    recipe: str
    edition: str
    member: str
    machine: str
    method: dict[str, Any]
    code: dict[str, Any]
    length: int
    sections: list[str]
    systems: dict[str, dict[str, Any]]
    versions: dict[str, str]


class Predictor:
    """What was written of one machine, ready to score.

    Args:
        workspace: where published weights lie.
        run: the folder of the run's weights.
        method: of the recipe, where it is at hand; None for the one that was written, which must name no code.
    """

    def __init__(self, workspace: Workspace, ui: Ui, run: Path, machine: str, method: Method | None = None) -> None:
        self.workspace = workspace
        self.run, self.folder = run, run / FOLDER / machine
        made = Made(self.folder)
        fingerprint = made.fingerprint()
        loaded = read_json(self.folder / ABOUT)
        if fingerprint is None or not made.is_fresh(fingerprint) or not isinstance(loaded, dict):
            raise UserError(f"{self.folder} is damaged or not whole.", "Copy or export it again.")
        self.about = About(**loaded)
        self.ui = ui
        self.method = method or Method.model_validate(self.about.method)
        if method is None and (own := plugins(self.method)):
            raise UserError(
                f"The recipe of {self.folder} names code of its own, {own[0].file.name}, which is not in there.",
                "Name the recipe: --recipe in place of --run.",
            )

    @cached_property
    def _bank(self) -> tuple[ClipTable, Embeddings, np.ndarray | None]:
        clips, named = load_arrays(self.folder / BANK)
        labels = named.pop("labels", None)
        return clips, named, labels

    @property
    def clips(self) -> ClipTable:
        """Those of the bank."""
        return self._bank[0]

    def fitted(self, detector: str, section: str) -> Any:
        """A detector that knows the bank."""
        from asdcli.detection.fitted import FittedSection

        clips, embeddings, labels = self._bank
        bank = Bank(embeddings, clips.domain, clips.section, labels)
        return FittedSection(
            self.method, self.method.detectors[detector], bank, np.ones(len(clips), bool), section
        ).detector

    def own(self, detector: str, section: str) -> np.ndarray:
        """Scores of the bank's clips of a section, each left out of its bank."""
        return np.array(self.about.systems[detector]["sections"][section]["scores"])

    def calibration(self, detector: str, section: str) -> Calibration | None:
        """The scores of the bank's own clips; None where the network has learnt from them."""
        return None if learns(self.method) else Calibration(self.own(detector, section))

    @cached_property
    def normal(self) -> NormalSound:
        with np.load(self.folder / NORMAL, allow_pickle=False) as arrays:
            return NormalSound(Portrait(**{field.name: arrays[field.name] for field in fields(Portrait)}))

    def check_code(self, memory: Memory) -> None:
        """Raise where the code of today is not what the predictor was made with."""
        today = code_of(memory.traits(self.method))
        other = [name for name, code in self.about.code.items() if today.get(name) != code]
        if other:
            raise UserError(
                f"{self.folder} was made by asd {self.about.versions['asd']}, whose {', '.join(other)} computed "
                f"otherwise than this asd {asdcli.__version__} does.",
                "Export it again with this version, or use that one.",
            )


def bring_up_to_date(selection: Selection, run: Run, machine: str) -> Path:
    """The predictor of a machine of a finished run, its training clips embedded first if need be."""
    folder = run.folder / FOLDER / machine
    method = selection.method(run.member, machine)  # whose network and front end are the run's
    prints = {name: bank_print(selection, run, machine, name) for name in method.detectors}
    made_from = digest(
        {
            "prints": prints,
            "threshold": method.threshold.model_dump(mode="json"),
            "clips": open_stores(selection, machine).training_fingerprint,
            "numbers": {"embedding": EMBEDDING, "predictor": PREDICTOR},
        }
    )

    def make() -> None:
        warn_of_damage(selection.ui, Made(folder), made_from)
        embed.run(selection)
        _write(selection, run, machine, folder, prints, made_from)

    selection.workspace.bring_up_to_date(folder, lambda: Made(folder).is_fresh(made_from), make)
    return folder


def code_of(traits: Traits) -> dict[str, Any]:
    """Digests of all code that computes scores of sounds, by component."""
    detectors = {f"detector {name}": trait["code"][0] for name, trait in traits.detectors.items()}
    return {**traits.code, **detectors, "numbers": [EMBEDDING, PREDICTOR]}


def _write(selection: Selection, run: Run, machine: str, folder: Path, prints: dict[str, str], made_from: str) -> None:
    import torch

    method = selection.method(run.member, machine)
    embedded = load_embedded(selection, run.member, machine)
    rows = np.flatnonzero(embedded.in_bank)
    labels = None
    if any(trait["needs_labels"] for trait in selection.traits(method).detectors.values()):
        labels = run_labels(selection, run)[CLASS].numbers(embedded.clips)
    tested = np.isin(embedded.clips.split, ("train", "test"))
    sections = np.unique(embedded.clips.section[tested]).tolist()
    systems: dict[str, dict[str, Any]] = {}
    for name, detector in method.detectors.items():
        fitted = {section: embedded.fitted(method, detector, section, labels) for section in sections}
        found = {s: {"scores": one.own[one.typical].tolist(), "threshold": one.threshold} for s, one in fitted.items()}
        systems[name] = {"made_for": prints[name], "sections": found}
    data = ClipData(selection, method, (machine,))
    is_train = np.flatnonzero(data.clips.split == "train")
    heard = [portrait(_waveform(data, row)) for row in is_train.tolist()]
    if added := read_added(run.folder, machine):
        heard += [added.portraits[row] for row in range(len(added.clips))]
    about = About(
        recipe=selection.label,
        edition=selection.edition.name,
        member=run.member,
        machine=machine,
        method=method.model_dump(mode="json"),
        code=code_of(selection.traits(method)),
        length=clip_length(selection, machine),
        sections=sections,
        systems=systems,
        versions={"asd": asdcli.__version__, "torch": torch.__version__, "python": platform.python_version()},
    )
    classes = {} if labels is None else {"labels": labels[rows]}
    save_arrays(folder / BANK, embedded.clips.select(rows), {**embedded.take(rows), **classes})
    sounds = stacked(heard)
    save_arrays(folder / NORMAL, None, {field.name: getattr(sounds, field.name) for field in fields(Portrait)})
    write_atomic(folder / ABOUT, json.dumps(asdict(about), indent=1).encode())
    Made(folder).write(made_from, [BANK, NORMAL, ABOUT])


def learns(method: Method) -> bool:
    """Whether a network is trained on the training clips, which are then no strangers to it.

    Means and deviations that a network without training standardises by do not count.
    """
    return any(phase.steps != 0 for phase in method.phases.values())


def clip_length(selection: Selection, machine: str) -> int:
    """Samples of the longest training clip, at 16 kHz."""
    stores = open_stores(selection, machine).stores.values()
    return max(int(store.lengths[store.clips.split == "train"].max(initial=1)) for store in stores)


def machines_in(run: Path) -> list[str]:
    """Machines of which a run, or a copy of one, has predictors."""
    return sorted(path.parent.name for path in (run / FOLDER).glob(f"*/{ABOUT}"))


def section_of(predictor: Predictor, path: Path, asked: str | None) -> str:
    """The section that a file is of: asked for, told by its name as the edition has it, or the only one."""
    from asdcli.challenge.editions.clipnames import parse_clip_name
    from asdcli.workspace.places import SETS

    known = predictor.about.sections
    if asked is not None:
        if asked not in known:
            raise unknown(f"section of {predictor.about.machine}", asked, known)
        return asked
    if len(known) == 1:
        return known[0]
    edition = load_edition(predictor.about.edition, own=True)
    for set_name in SETS:
        for folder in ("test", "train"):
            clip = parse_clip_name(edition, set_name, folder, path.name)
            told = clip is not None and f"_{clip.section}_" in path.name  # own clips are of section 00 by any name
            if clip is not None and told and clip.section in known:
                return clip.section
    raise UserError(
        f"Of which section is {path}? {predictor.about.machine} has {', '.join(known)}.", f"--section {known[0]}"
    )


def _waveform(data: ClipData, row: int) -> np.ndarray:
    samples, _ = data.waveforms(np.array([row]))
    return samples.astype(np.float32) / (32768 if samples.dtype == np.int16 else 1)
