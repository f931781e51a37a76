"""One system against another on the same clips, each with one or several trainings: what is beyond noise?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asdcli.challenge.metrics.bootstrap import percentile_interval
from asdcli.challenge.metrics.evaluation import Evaluation


@dataclass(frozen=True)
class Estimate:
    """A score or a difference of scores, in fractions, and its 95 % interval (None without resamples)."""

    value: float
    ci95: tuple[float, float] | None

    @property
    def beyond_noise(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.ci95 is not None and (self.ci95[0] > 0 or self.ci95[1] < 0)


def mean_score(seeds: Sequence[Evaluation]) -> Estimate:
    """The mean score of a system's trainings with several seeds; the interval covers test clips and seeds."""
    return _estimate(_mean(seeds), [_spread(seeds, np.random.default_rng(0))])


def difference(system: Sequence[Evaluation], reference: Sequence[Evaluation]) -> Estimate:
    """Mean score of `system` minus that of `reference`, over the seeds of each.

    A resample draws the same clips for both (paired) and seeds anew for each. With one seed the interval does not know
    how much training again would change.
    """
    if not comparable(system, reference):
        raise ValueError("the systems were not scored on the same clips")
    rng = np.random.default_rng(0)
    return _estimate(_mean(system) - _mean(reference), [_spread(system, rng), -_spread(reference, rng)])


def comparable(system: Sequence[Evaluation], reference: Sequence[Evaluation]) -> bool:
    """Whether all are of the same test clips, as far as set, sections and counts tell, with equally many resamples."""
    return len({_clips(evaluation) for evaluation in (*system, *reference)}) == 1


def _clips(evaluation: Evaluation) -> tuple[object, ...]:
    sections = [
        (machine, key, section.clips)
        for machine, result in evaluation.machines.items()
        for key, section in result.sections.items()
    ]
    return evaluation.edition, evaluation.set_name, len(evaluation.resamples), *sections


def _mean(seeds: Sequence[Evaluation]) -> float:
    return float(np.mean([evaluation.score for evaluation in seeds]))


def _spread(seeds: Sequence[Evaluation], rng: np.random.Generator) -> np.ndarray:
    """Resampled mean scores `[draws]`: clips as the evaluations drew them, seeds drawn with replacement.

    Means of n values drawn from n vary too little by the factor (n - 1) / n in variance, which matters for few seeds;
    the deviations between seeds are therefore enlarged. None where a training has no score.
    """
    if len({len(evaluation.resamples) for evaluation in seeds}) > 1:
        return np.empty(0)
    scores = np.array([evaluation.resamples for evaluation in seeds])  # [seeds, draws]
    n, draws = scores.shape
    if n == 1:
        return scores[0]
    middle = scores.mean(0)
    drawn = np.take_along_axis(scores, rng.integers(n, size=(n, draws)), axis=0).mean(0)
    return middle + np.sqrt(n / (n - 1)) * (drawn - middle)


def _estimate(value: float, spreads: list[np.ndarray]) -> Estimate:
    total = np.sum(spreads, axis=0)
    return Estimate(value, percentile_interval(total) if len(total) and np.isfinite(total).all() else None)
