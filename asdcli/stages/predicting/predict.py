"""`asd predict`: any sound of a machine to its score, and whether it is called anomalous, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from asdcli.audio.store import SAMPLING_RATE_HZ, scaled
from asdcli.audio.windows import Window, windows
from asdcli.detection.conformal import Calibration
from asdcli.detection.why import Reason
from asdcli.errors import AsdError, UserError, unknown
from asdcli.recipe.components import Component, build, lookup
from asdcli.stages.predicting import predictors
from asdcli.stages.predicting.network import Network
from asdcli.stages.predicting.predictors import About, Predictor, section_of
from asdcli.stages.predicting.set_thresholds import SetThreshold, read_set
from asdcli.stages.runs import run_of
from asdcli.stages.selection import Selection
from asdcli.stages.traits import MEMORY, Memory
from asdcli.ui import Ui
from asdcli.workspace.made import Made
from asdcli.workspace.places import Workspace

if TYPE_CHECKING:
    import torch

Aggregate = Literal["max", "p95", "mean"]
AGGREGATES: dict[Aggregate, Callable[[np.ndarray], float]] = {
    "max": lambda scores: float(scores.max()),
    "p95": lambda scores: float(np.quantile(scores, 0.95)),
    "mean": lambda scores: float(scores.mean()),
}
AT_ONCE_S = 40  # seconds of sound whose windows are embedded together


@dataclass(frozen=True)
class Heard:
    """A window of a file, or all of it: when, in seconds; score; and how often a normal clip scores so high or higher.

    The last is told by the bank's own clips, or those that a threshold was set with; None where the network has learnt
    from all of them.
    """

    begin_s: float
    end_s: float
    score: float
    p_value: float | None


@dataclass(frozen=True)
class Prediction:
    """What was heard in a file. worst: its window with the largest score; why: of an alarm; nearest: the normal clip
    that the worst window of an alarm is most like; peak: where in Hz and seconds of that window a detector with
    maps finds most; half: from where to where in Hz half of the distance comes, of spectra without a network.
    """

    path: Path
    section: str
    whole: Heard
    windows: tuple[Heard, ...]
    threshold: float
    why: Reason | None = None
    nearest: str = ""
    peak: tuple[float, float] | None = None
    half: tuple[float, float] | None = None

    @property
    def alarm(self) -> bool:
        return self.whole.score > self.threshold

    @property
    def worst(self) -> Heard:
        return max(self.windows, key=lambda window: window.score)


@dataclass(frozen=True)
class Failed:
    """A file that could not be scored."""

    path: Path
    error: AsdError


@dataclass(frozen=True)
class Options:
    """window, hop: in seconds; None for the length of the bank's clips, and for no overlap."""

    detector: str | None = None
    section: str | None = None
    window: float | None = None
    hop: float | None = None
    aggregate: Aggregate = "max"


def predictor_of(selection: Selection) -> Predictor:
    """That of the selection's first member and only machine. Raises UserError where there is no finished run."""
    member = selection.members[0]
    if len(selection.machines) > 1:
        raise UserError(f"Of which machine are these sounds? There are {', '.join(selection.machines)}.", "--machine")
    (machine,) = selection.machines
    if others := selection.members[1:]:
        selection.ui.say(
            f"Member: {member} (the first; --member takes {' or '.join(others)}, asd predict --system a fusion)"
        )
    run = run_of(selection, member, machine)
    if not Made(run.folder).is_fresh(run.made_from):
        profile = "" if selection.profile == "full" else f" --profile {selection.profile}"
        raise UserError(
            f"{member} of {selection.label} is not trained for {machine} yet, or its training clips have changed.",
            f"asd train --recipe {selection.recipe.reference}{profile} --data {selection.edition.name} "
            f"--machine {machine}",
        )
    predictors.bring_up_to_date(selection, run, machine)
    return Predictor(selection.workspace, selection.ui, run.folder, machine, selection.method(member, machine))


def predictor_in(workspace: Workspace, ui: Ui, folder: Path, machine: str | None) -> Predictor:
    """That in the folder of a run, or a copy of one. Raises UserError for one that is damaged, or of other code."""
    there = predictors.machines_in(folder)
    if not there:
        raise UserError(f"{folder} holds no predictor.", "asd predict without --run makes it, or asd export.")
    if machine is not None and machine not in there:
        raise unknown(f"machine of {folder}", machine, there)
    if machine is None and len(there) > 1:
        raise UserError(f"Of which machine are these sounds? There are {', '.join(there)}.", "--machine")
    made = Made(folder)
    if not made.is_fresh(made.fingerprint() or ""):
        raise UserError(f"The weights in {folder} are damaged or not whole.", "Copy or export it again.")
    predictor = Predictor(workspace, ui, folder, machine or there[0])
    predictor.check_code(Memory(workspace.root / MEMORY))
    return predictor


class Listener:
    """Scores sounds with a predictor; network and bank are loaded once."""

    def __init__(self, predictor: Predictor, device: torch.device, options: Options) -> None:
        self._predictor, self._options = predictor, options
        about = predictor.about
        if options.detector is not None and options.detector not in about.systems:
            raise unknown(f"detector of {about.recipe}", options.detector, about.systems)
        self.detector = options.detector or next(iter(about.systems))
        self.network = Network(
            predictor.run, predictor.method, about.machine, device, predictor.workspace, predictor.ui
        )
        self._detectors: dict[str, Any] = {}
        self.length = _samples("window", options.window) or about.length
        self.hop = _samples("hop", options.hop) or self.length

    def hear(self, path: Path) -> Prediction:
        """Score one file. Raises UserError for one that cannot be read, or is too short for the recipe."""
        section = section_of(self._predictor, path, self._options.section)
        heard: list[Heard] = []
        worst: Window | None = None
        found = windows(path, self.length, self.hop)
        while part := list(islice(found, max(1, AT_ONCE_S * SAMPLING_RATE_HZ // self.length))):
            scores = self.scores([window.samples for window in part], section)
            most = int(scores.argmax())
            if worst is None or scores[most] > max(one.score for one in heard):
                worst = part[most]
            for window, score, p in zip(part, scores.tolist(), self._p_values(scores, section), strict=True):
                heard.append(Heard(*window.seconds, score, p))
        score = AGGREGATES[self._options.aggregate](np.array([one.score for one in heard]))
        whole = Heard(0.0, max(one.end_s for one in heard), score, *self._p_values(np.array([score]), section))
        prediction = Prediction(path, section, whole, tuple(heard), self.threshold(section))
        if not prediction.alarm or worst is None:
            return prediction
        why = self._predictor.normal.why(scaled(worst.samples, self._predictor.method.channel))
        nearest = str(self._predictor.clips.path[why.nearest])
        prediction = replace(prediction, why=why, nearest=nearest)
        return replace(prediction, peak=self._peak(worst.samples, section), half=self._half(worst.samples, section))

    def _peak(self, samples: np.ndarray, section: str) -> tuple[float, float] | None:
        if not hasattr(detector := self.fitted(section), "map"):
            return None
        from asdcli.stages.looking.anomaly_map import axes_of

        distances = detector.map(self.network.embed([samples], section))[0]
        return axes_of(self._predictor.method).peak(distances)

    def _half(self, samples: np.ndarray, section: str) -> tuple[float, float] | None:
        from asdcli.audio.frontends import FRONTENDS
        from asdcli.detection.detectors import DETECTORS
        from asdcli.stages.looking.anomaly_map import features_hz

        method, detector = self._predictor.method, self._detectors[section]
        tells = hasattr(lookup(DETECTORS, "detector", method.detectors[self.detector]), "shares")
        if method.model.name != "identity" or not tells or not hasattr(detector, "shares"):
            return None
        hz = features_hz(build(FRONTENDS, "front end", method.frontend))
        shares = detector.shares(self.network.embed([samples], section))[0]
        low, high = narrowest_half(shares.reshape(-1, len(hz)).sum(0))  # frames, or quantiles, one after the other
        return float(hz[low]), float(hz[high])

    def scores(self, samples: list[np.ndarray], section: str) -> np.ndarray:
        """Of sounds in the form of `decode`, each as of a clip."""
        return np.asarray(self.fitted(section).score(self.network.embed(samples, section)))

    def fitted(self, section: str) -> Any:
        """The detector of a section."""
        if section not in self._detectors:
            self._detectors[section] = self._predictor.fitted(self.detector, section)
        return self._detectors[section]

    def calibration(self, section: str) -> Calibration | None:
        """Scores of normal clips that the network has not learnt from; None without any."""
        kept = self.set_thresholds.get(section)
        if kept is not None and kept.held_out:
            return Calibration(np.array(kept.held_out))
        return self._predictor.calibration(self.detector, section)

    def _p_values(self, scores: np.ndarray, section: str) -> list[float | None]:
        calibration = self.calibration(section)
        if calibration is None:
            return [None] * len(scores)
        found: list[float | None] = calibration.p_values(scores).tolist()
        return found

    def own(self, section: str) -> np.ndarray:
        """Scores of the bank's clips of a section, each left out of its bank."""
        return self._predictor.own(self.detector, section)

    @property
    def about(self) -> About:
        """Of the predictor."""
        return self._predictor.about

    @property
    def rule(self) -> Component:
        """The recipe's, for thresholds."""
        return self._predictor.method.threshold

    def threshold(self, section: str) -> float:
        """The one that was set, or the recipe's."""
        kept = self.set_thresholds.get(section)
        of_recipe: float = self._predictor.about.systems[self.detector]["sections"][section]["threshold"]
        return of_recipe if kept is None else kept.value

    @cached_property
    def set_thresholds(self) -> dict[str, SetThreshold]:
        about = self._predictor.about
        made_for = about.systems[self.detector]["made_for"]
        return read_set(self._predictor.ui, self._predictor.run, about.machine, self.detector, made_for)


def narrowest_half(shares: np.ndarray) -> tuple[int, int]:
    """First and last of the fewest neighbours that together hold half of the sum; of equally few those that hold most.

    shares: `[n]`, not negative.
    """
    sums = np.concatenate([[0.0], np.cumsum(shares)])
    for count in range(1, len(shares) + 1):
        held = sums[count:] - sums[:-count]
        if held.max() >= 0.5 * sums[-1]:
            break
    first = int(held.argmax())
    return first, first + count - 1


def run(ui: Ui, listener: Listener, files: list[Path]) -> Iterator[Prediction | Failed]:
    """Score files one after the other; one that cannot be scored does not stop the others."""
    with ui.progress("predict", len(files), "files") as progress:
        for done, path in enumerate(files):
            progress.show(done)
            try:
                yield listener.hear(path)
            except UserError as error:
                yield Failed(path, error)


def _samples(name: str, seconds: float | None) -> int | None:
    if seconds is not None and seconds <= 0:
        raise UserError(f"--{name} {seconds:g} is no length of time.", f"--{name} 10")
    return None if seconds is None else max(1, round(seconds * SAMPLING_RATE_HZ))
