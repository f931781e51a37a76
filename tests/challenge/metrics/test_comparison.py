from __future__ import annotations

import numpy as np
import pytest

from asdcli.challenge.editions.edition import load_edition
from asdcli.challenge.editions.scorefiles import units
from asdcli.challenge.editions.truth import truth_from_clips
from asdcli.challenge.metrics.comparison import comparable, difference, mean_score
from asdcli.challenge.metrics.evaluation import evaluate

EDITION = load_edition("dcase2023")
UNITS = units(EDITION, "dev")[:2]
CELLS = [(label, domain) for label in (0, 1) for domain in ("source", "target") for _ in range(60)]
NAMES = [f"{label}{domain}{number}.wav" for number, (label, domain) in enumerate(CELLS)]
LABELS = np.array([label for label, _ in CELLS])
TRUTH = truth_from_clips(
    [(u.machine, u.section, n, c[0], c[1]) for u in UNITS for n, c in zip(NAMES, CELLS, strict=True)]
)


def evaluated(skill: float, clip_noise: float = 1.0, own_noise: float = 0.1, seed: int = 0, draws: int = 400):
    """Clips are as hard for every system; a system adds noise of its own, other with every seed."""
    hard = clip_noise * np.random.default_rng(99).normal(size=(len(UNITS), len(NAMES)))
    own = own_noise * np.random.default_rng([seed, round(100 * skill)]).normal(size=hard.shape)
    scores = {unit: (NAMES, row) for unit, row in zip(UNITS, hard + own + skill * LABELS, strict=True)}
    return evaluate(EDITION, scores, TRUTH, bootstrap=draws, partial=True)


def width(estimate):
    return estimate.ci95[1] - estimate.ci95[0]


def test_resamples_are_of_the_same_clips_whatever_their_order():
    one = evaluated(0.7)
    rng = np.random.default_rng(5)
    shuffled = {}
    for unit in UNITS:
        order = rng.permutation(len(NAMES))
        hard = np.random.default_rng(99).normal(size=(len(UNITS), len(NAMES)))[UNITS.index(unit)]
        own = 0.1 * np.random.default_rng([0, 70]).normal(size=(len(UNITS), len(NAMES)))[UNITS.index(unit)]
        values = hard + own + 0.7 * LABELS
        shuffled[unit] = ([NAMES[i] for i in order], values[order])
    other = evaluate(EDITION, shuffled, TRUTH, bootstrap=400, partial=True)
    assert np.allclose(one.resamples, other.resamples, atol=1e-12)


def test_the_same_system_differs_by_nothing():
    apart = difference([evaluated(0.7)], [evaluated(0.7)])
    assert (apart.value, apart.ci95, apart.beyond_noise) == (0.0, (0.0, 0.0), False)


def test_a_paired_difference_is_sharper_than_either_score():
    better, worse = evaluated(0.9), evaluated(0.7)
    apart = difference([better], [worse])
    assert apart.value == pytest.approx(better.score - worse.score)
    assert apart.beyond_noise
    assert apart.ci95[0] < apart.value < apart.ci95[1]
    assert width(apart) < 0.5 * width(mean_score([better]))
    assert not set(better.ci95) & set(worse.ci95)
    assert better.ci95[0] < worse.ci95[1]  # the intervals of the scores overlap and would have hidden it


def test_seeds_that_scatter_are_noise():
    ours = [evaluated(0.75, own_noise=1.5, seed=seed) for seed in range(3)]
    theirs = [evaluated(0.70, own_noise=1.5, seed=seed) for seed in range(3)]
    apart = difference(ours, theirs)
    assert not apart.beyond_noise
    assert apart.value == pytest.approx(np.mean([e.score for e in ours]) - np.mean([e.score for e in theirs]))


def test_the_interval_of_seeds_is_as_wide_as_statistics_says():
    """Many seeds without clip noise: the standard error of their mean."""
    seeds = [evaluated(1.0, seed=seed, own_noise=1.0) for seed in range(6)]
    flat = [type(one)(**{**one.__dict__, "resamples": np.full(4000, one.score)}) for one in seeds]
    values = np.array([one.score for one in seeds])
    assert width(mean_score(flat)) == pytest.approx(2 * 1.96 * values.std(ddof=1) / np.sqrt(6), rel=0.15)


def test_without_resamples_there_is_a_value_and_no_verdict():
    apart = difference([evaluated(0.9, draws=0)], [evaluated(0.7, draws=0)])
    assert apart.value > 0
    assert apart.ci95 is None
    assert not apart.beyond_noise


def test_other_clips_are_not_compared():
    one = evaluated(0.7)
    part = evaluate(EDITION, {UNITS[0]: (NAMES, LABELS + 0.0)}, TRUTH, bootstrap=400, partial=True)
    assert not comparable([one], [part])
    assert not comparable([one], [evaluated(0.7, draws=10)])
    with pytest.raises(ValueError, match="same clips"):
        difference([one], [part])
