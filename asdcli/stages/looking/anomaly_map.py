"""`asd plot map`: where in frequency and time a detector finds a clip anomalous."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Protocol

import numpy as np

from asdcli.audio.clips import scan_clips
from asdcli.audio.frontends import FRONTENDS
from asdcli.audio.store import SAMPLING_RATE_HZ
from asdcli.detection.bank import Bank, Embeddings
from asdcli.detection.detectors import DETECTORS
from asdcli.detection.fitted import FittedSection
from asdcli.errors import UserError, did_you_mean, few, unknown
from asdcli.nn.backbones import BACKBONES
from asdcli.recipe.components import build, check, lookup
from asdcli.recipe.schema import Method
from asdcli.stages import embed
from asdcli.stages.embed import Embedded, load_embedded
from asdcli.stages.features import ClipData
from asdcli.stages.predicting.set_thresholds import bank_print, read_set
from asdcli.stages.runs import run_of
from asdcli.stages.selection import Selection
from asdcli.stages.train import make_view


class MappingDetector(Protocol):
    """A detector that can say where: maps `[clips, bands, times]` of distances, larger is more anomalous."""

    def fit(self, bank: Bank) -> None: ...

    def map(self, embeddings: Embeddings) -> np.ndarray: ...

    def map_bank(self) -> np.ndarray:
        """Of the bank's own clips, each against the others."""
        ...

    def score(self, embeddings: Embeddings) -> np.ndarray: ...

    def score_bank(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Found:
    """A clip that was asked for: the set it lies in, and its path below raw/."""

    set_name: str
    path: str

    @property
    def machine(self) -> str:
        return self.path.split("/")[0]


@dataclass(frozen=True)
class Axes:
    """What rows and columns mean: hz is each feature's centre frequency, `[features]`; frame_s the time from one frame
    to the next. Cell (i, j) of a map is centred on feature `stride` i and frame `stride` j; frame 0 is at 0 s.
    """

    hz: np.ndarray
    frame_s: float
    stride: int

    def peak(self, distances: np.ndarray) -> tuple[float, float]:
        """Frequency in Hz and time in s of the largest of `[bands, times]`."""
        band, time = np.unravel_index(distances.argmax(), distances.shape)
        return float(self.hz[band * self.stride]), float(time * self.stride * self.frame_s)


@dataclass(frozen=True)
class ClipMap:
    """A clip's features `[features, frames]` and its distances `[bands, times]`, with what they mean.

    A test clip is compared with its training clips, a training clip with the others. Above the threshold a clip is
    called anomalous.
    """

    clip: Found
    member: str
    detector: str
    frontend: str
    features: np.ndarray
    distances: np.ndarray
    axes: Axes
    score: float
    threshold: float

    @property
    def anomalous(self) -> bool:
        return self.score > self.threshold

    @property
    def peak(self) -> tuple[float, float]:
        """Frequency in Hz and time in s of the largest distance."""
        return self.axes.peak(self.distances)


def run(selection: Selection, wanted: Sequence[str], detector: str | None = None) -> list[ClipMap]:
    """Maps of the clips wanted, in their order, by the selection's first member.

    Args:
        selection: of any member, machine and set; only those of the clips are brought up to date.
        wanted: file names, or as much of the path as tells one clip from the others.
        detector: by its name in the recipe; None for the first that can map.
    """
    member = selection.members[0]
    name = _choose_detector(selection, member, detector)
    clips = find(selection, wanted)
    machines = tuple(machine for machine in selection.machines if machine in {clip.machine for clip in clips})
    selection = replace(selection, members=(member,), machines=machines)
    embed.run(selection)
    maps: dict[Found, ClipMap] = {}
    for machine in machines:
        here = [clip for clip in dict.fromkeys(clips) if clip.machine == machine]
        maps |= dict(zip(here, _maps_of(selection, member, name, machine, here), strict=True))
    return [maps[clip] for clip in clips]


def find(selection: Selection, wanted: Sequence[str]) -> list[Found]:
    """The clips with these names: file names, paths below the data set, or paths of the files themselves."""
    raw, edition = selection.workspace.raw, selection.edition
    known = [
        Found(set_name, path)
        for machine in selection.machines
        for set_name in selection.sets_of(machine)
        for path in scan_clips(raw(edition.name, set_name), edition, set_name, [machine])[0].path.tolist()
    ]
    return [_find_one(text, known, edition.name) for text in wanted]


def _find_one(text: str, known: list[Found], edition: str) -> Found:
    parts = PurePosixPath(text.replace("\\", "/")).parts
    matching = [clip for clip in known if _same_end(parts, PurePosixPath(clip.path).parts)]
    if not matching:
        names = [PurePosixPath(clip.path).name for clip in known]
        raise UserError(
            f"No clip of {edition} is called '{text}'.{did_you_mean(parts[-1] if parts else '', names)}",
            "Clips go by their file name, or by their path such as MACHINE/test/NAME.wav.",
        )
    if len(matching) > 1:
        places = [f"{clip.path} ({clip.set_name})" for clip in matching]
        raise UserError(
            f"'{text}' names {len(matching)} clips of {edition}: {few(places, 4)}.",
            "Give more of the path, or narrow with --machine or --set.",
        )
    return matching[0]


def _same_end(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shared = min(len(one), len(other))
    return shared > 0 and one[-shared:] == other[-shared:]


def _choose_detector(selection: Selection, member: str, wanted: str | None) -> str:
    method = selection.method(member, None)
    detectors = method.detectors
    able = [
        name
        for name, detector in detectors.items()
        if hasattr(lookup(DETECTORS, "detector", detector), "map")
        and not detector.domain_wise
        and method.pooling is None  # which leaves no times to tell apart
    ]
    if wanted is not None and wanted not in detectors:
        raise unknown(f"detector of recipe {selection.recipe.name}", wanted, detectors)
    if not able or wanted not in (None, *able):
        which = f"Detector {wanted}" if wanted else f"No detector of recipe {selection.recipe.name}"
        raise UserError(
            f"{which} {'cannot say' if wanted else 'can say'} where in a clip the anomaly is.",
            f"--detector {able[0]}" if able else "Detectors of the kind padim can, as in --recipe padim.",
        )
    return wanted or able[0]


def _maps_of(selection: Selection, member: str, detector: str, machine: str, wanted: list[Found]) -> list[ClipMap]:
    """Maps of clips of one machine."""
    method = selection.method(member, machine)
    data = ClipData(selection, method, (machine,))
    axes = axes_of(method)
    embedded = load_embedded(selection, member, machine)
    run = run_of(selection, member, machine)
    kept = read_set(selection.ui, run.folder, machine, detector, bank_print(selection, run, machine, detector))
    maps = []
    fitted: dict[str, FittedSection] = {}
    for clip in wanted:
        row = int(np.flatnonzero((embedded.clips.path == clip.path) & (embedded.set_name == clip.set_name))[0])
        section = str(embedded.clips.section[row])
        if section not in fitted:
            fitted[section] = embedded.fitted(method, method.detectors[detector], section)
        distances, score = _map(fitted[section], embedded, row)
        number = int(np.flatnonzero((data.clips.path == clip.path) & (data.set_name == clip.set_name))[0])
        features = make_view(selection, method, data, np.array([number])).clip_examples(0)[0].T.cpu().numpy()
        about = (member, detector, method.frontend.name, features, distances, axes)
        threshold = kept[section].value if section in kept else fitted[section].threshold
        maps.append(ClipMap(clip, *about, score, threshold))
    return maps


def _map(fitted: FittedSection, embedded: Embedded, row: int) -> tuple[np.ndarray, float]:
    """Distances `[bands, times]` and score of one clip; a clip of the bank is left out of it."""
    detector: MappingDetector = fitted.detector
    own = np.flatnonzero(fitted.rows == row)
    if len(own):
        return fitted.own_maps[own[0]], float(fitted.own[own[0]])
    one = embedded.take(np.array([row]))
    return detector.map(one)[0], float(detector.score(one)[0])


def axes_of(method: Method) -> Axes:
    """What the rows and columns of a recipe's maps mean. Raises UserError for a network that has no places."""
    frontend = build(FRONTENDS, "front end", method.frontend)
    hop = frontend.hop_length if hasattr(frontend, "hop_length") else frontend.frame_shift
    stride = None if method.model.branches else check(BACKBONES, "model", method.model).get("stride")
    if stride is None:
        raise UserError(f"{method.place('model')}: the network has no stride, which places a map in the clip.")
    return Axes(features_hz(frontend), hop / SAMPLING_RATE_HZ, stride)


def features_hz(frontend: Any) -> np.ndarray:
    """Centre frequency of each of a front end's features, `[features]`."""
    if hasattr(frontend, "bank"):
        return _centres_hz(frontend.bank.double().numpy())
    return np.linspace(0, SAMPLING_RATE_HZ / 2, frontend.n_features)


def _centres_hz(bank: np.ndarray) -> np.ndarray:
    """Centre frequencies of mel filters `[bands, bins]`; of those too narrow for any bin, between their neighbours'."""
    weight, bins = bank.sum(1), np.linspace(0, SAMPLING_RATE_HZ / 2, bank.shape[1])
    wide = np.flatnonzero(weight)
    return np.interp(np.arange(len(bank)), wide, bank[wide] @ bins / weight[wide])
