"""`asd drift`: whether new normal sound still is like the bank that a machine is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asdcli.audio.portrait import EDGES_HZ, portrait, stacked
from asdcli.audio.store import scaled
from asdcli.audio.windows import windows
from asdcli.errors import UserError
from asdcli.stages.predicting.predict import Listener
from asdcli.stages.predicting.predictors import Predictor, section_of

DRIFTED = 0.05  # p-value of a test among TESTS below which sound has drifted (Bonferroni)
TESTS = 3
PERMUTATIONS = 999
FEWEST = 5  # windows from which anything can be told


@dataclass(frozen=True)
class Test:
    """name: level, spectrum or scores. p_value: how often sound of the bank's kind would differ as much; None where
    nothing can tell. change: in words.
    """

    name: str
    p_value: float | None
    change: str

    @property
    def drifted(self) -> bool:
        return self.p_value is not None and self.p_value * TESTS < DRIFTED


@dataclass(frozen=True)
class Drift:
    """windows: of new sound, in all files; clips: of the bank."""

    section: str
    windows: int
    clips: int
    tests: tuple[Test, ...]

    @property
    def drifted(self) -> bool:
        return any(test.drifted for test in self.tests)


def run(predictor: Predictor, listener: Listener, files: Sequence[Path], section: str | None = None) -> Drift:
    """Compare new normal sound, in windows as long as clips, with the bank: level, spectrum and scores.

    Raises UserError for files of several sections, or too few windows.
    """
    sections = {section_of(predictor, path, section) for path in files}
    if len(sections) > 1:
        raise UserError(f"These files are of several sections: {', '.join(sorted(sections))}.", "--section")
    (here,) = sections
    heard, scores = [], []
    for path in files:
        for window in windows(path, listener.length, listener.hop):
            heard.append(portrait(scaled(window.samples, predictor.method.channel)))
            scores += listener.scores([window.samples], here).tolist()
    if len(heard) < FEWEST:
        raise UserError(f"{len(heard)} windows of sound tell nothing of drift; {FEWEST} are the fewest.")
    new, known = stacked(heard).bands, predictor.normal.clips.bands
    of_section = predictor.clips.section == here
    known = known[of_section] if of_section.any() else known
    tests = (_level(known, new), _spectrum(known, new), _scores(predictor, listener, here, np.array(scores)))
    return Drift(here, len(new), len(known), tests)


def _levels(bands: np.ndarray) -> np.ndarray:
    return np.asarray(10 * np.log10((10 ** (bands / 10)).sum(1)))


def _level(known: np.ndarray, new: np.ndarray) -> Test:
    from scipy.stats import mannwhitneyu

    before, after = _levels(known), _levels(new)
    change = float(np.median(after) - np.median(before))
    p = float(mannwhitneyu(before, after).pvalue)
    return Test("level", p, f"{abs(change):.1f} dB {'louder' if change > 0 else 'quieter'}")


def _spectrum(known: np.ndarray, new: np.ndarray) -> Test:
    """Energy distance of third octaves without the level (Szekely & Rizzo 2013), by permutation."""
    from scipy.spatial.distance import cdist

    both = np.concatenate([known, new])
    both = both - np.median(both, 1, keepdims=True)
    distances = cdist(both, both)
    is_new = np.arange(len(both)) >= len(known)
    rng = np.random.default_rng(0)
    found = _energy(distances, is_new)
    others = sum(_energy(distances, rng.permutation(is_new)) >= found - 1e-12 for _ in range(PERMUTATIONS))
    change = np.median(both[is_new], 0) - np.median(both[~is_new], 0)
    band = int(np.abs(change).argmax())
    place = f"{EDGES_HZ[band]:.0f} to {EDGES_HZ[band + 1]:.0f} Hz"
    return Test("spectrum", (1 + others) / (1 + PERMUTATIONS), f"most at {place}, {change[band]:+.1f} dB")


def _energy(distances: np.ndarray, is_new: np.ndarray) -> float:
    between = distances[is_new][:, ~is_new].mean()
    return float(2 * between - distances[is_new][:, is_new].mean() - distances[~is_new][:, ~is_new].mean())


def _scores(predictor: Predictor, listener: Listener, section: str, scores: np.ndarray) -> Test:
    from scipy.stats import mannwhitneyu

    calibration = listener.calibration(section)
    above = float(np.mean(scores > listener.threshold(section)))
    change = f"{above:.0%} of the windows above the threshold"
    if calibration is None:
        return Test("scores", None, f"{change}; no test, the network has learnt from the bank")
    p = float(mannwhitneyu(scores, calibration.scores, alternative="greater").pvalue)
    return Test("scores", p, change)
