"""Conformal thresholds: ranks, intervals and p-values by hand, and by simulation how often the promise is kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from asdcli.detection.bank import Bank
from asdcli.detection.conformal import Calibration, clips_for
from asdcli.detection.detectors import DETECTORS
from asdcli.detection.domain_wise import DomainWise

SIZE = 4
REPEATS, FRESH = 150, 40


@pytest.mark.parametrize(
    ("clips", "rate", "rank", "promised"),
    [(20, 0.1, 19, 2 / 21), (20, 1 / 21, 20, 1 / 21), (19, 0.05, 19, 0.05), (99, 0.05, 95, 0.05), (1, 0.5, 1, 0.5)],
)
def test_the_threshold_is_the_score_of_the_right_rank(clips: int, rate: float, rank: int, promised: float) -> None:
    found = Calibration(np.random.default_rng(0).permutation(np.arange(clips, dtype=float))).threshold(rate)
    assert (found.value, found.rank, found.promised) == (rank - 1, rank, pytest.approx(promised))
    assert found.supported


def test_too_few_clips_promise_what_they_can() -> None:
    found = Calibration(np.arange(20.0)).threshold(1 / 144)
    assert (found.value, found.supported, found.promised) == (19, False, 1 / 21)
    assert clips_for(1 / 144) == 143
    assert [clips_for(rate) for rate in (0.5, 0.1, 1 / 21, 0.01, 0.9)] == [1, 9, 20, 99, 1]


def test_the_interval_is_that_of_the_beta_distribution() -> None:
    found = Calibration(np.arange(99.0)).threshold(0.05)
    assert found.interval() == pytest.approx(1 - beta(95, 5).ppf([0.975, 0.025]))
    assert found.interval(0.8) == pytest.approx(1 - beta(95, 5).ppf([0.9, 0.1]))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.floats(0.001, 0.999), st.integers(-1, 6))
def test_what_is_above_a_threshold_has_a_small_p_value(scores: list[int], rate: float, score: int) -> None:
    calibration = Calibration(np.array(scores, float))
    found, (p,) = calibration.threshold(rate), calibration.p_values(np.array([score]))
    assert p == (1 + sum(one >= score for one in scores)) / (1 + len(scores))
    assert found.promised <= rate + 1e-6 or not found.supported
    assert (score > found.value) == (p <= found.promised + 1e-12) or scores.count(int(found.value)) > 1


def clips(rng: np.random.Generator, count: int, ties: bool) -> dict[str, np.ndarray]:
    """Embeddings of normal clips for every kind of detector; with ties only few of them differ."""
    values = rng.standard_normal((count, SIZE)) + 3
    rows = values[:, None] * rng.standard_normal((count, 6, SIZE))
    positions = rng.standard_normal((count, 2, 3, 2))
    if ties:
        values, rows, positions = np.rint(values), np.rint(rows / 3) + 1, np.rint(positions)
    upper = np.triu_indices(SIZE)
    moment = np.einsum("nri,nrj->nij", rows, rows)[:, upper[0], upper[1]] / 6
    return {"embedding": values, "residual_mean": rows.mean(1), "residual_moment": moment, "positions": positions}


WITHOUT_TRAINING = {name: make for name, make in DETECTORS.items() if name != "class_log_odds"}  # learns classes
MAKERS: dict[str, Callable] = {
    **WITHOUT_TRAINING,
    "domain_wise knn": lambda: DomainWise(DETECTORS["knn"]),
    "ten neighbours": partial(DETECTORS["knn"], neighbours=10, metric="euclidean"),
    "mahalanobis shrunk": partial(DETECTORS["mahalanobis"], covariance="ledoit_wolf"),
}
LONG = ("lof", "selective_mahalanobis", "band_mahalanobis")  # half of the time of all


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in MAKERS]
)
@pytest.mark.parametrize("ties", [False, True], ids=["", "ties"])
def test_leave_one_out_scores_keep_the_promise(name: str, ties: bool) -> None:
    """New normal clips above the threshold, over many banks: no more than promised, but for chance (4 sigma)."""
    rng = np.random.default_rng(1)
    for count, rate in ((5, 0.2), (12, 0.1), (39, 0.05)):
        above = []
        for _ in range(REPEATS):
            domain = np.where(np.arange(count) < 0.7 * count, "source", "target")
            detector = MAKERS[name]()
            detector.fit(Bank(clips(rng, count, ties), domain, np.full(count, "00")))
            threshold = Calibration(np.asarray(detector.score_bank())).threshold(rate)
            above.append(np.mean(detector.score(clips(rng, FRESH, ties)) > threshold.value))
        assert np.mean(above) <= threshold.promised + 4 * np.std(above) / np.sqrt(REPEATS), (count, rate)


def test_scores_of_clips_that_were_learnt_from_do_not() -> None:
    """What the leave-one-out is for: a bank scored with itself in it promises a tenth and alarms nearly always."""
    rng = np.random.default_rng(2)
    bank = Bank(clips(rng, 19, ties=False), np.full(19, "source"), np.full(19, "00"))
    detector = DETECTORS["knn"](neighbours=1)
    detector.fit(bank)
    threshold = Calibration(detector.score(bank.embeddings)).threshold(0.1)
    assert np.mean(detector.score(clips(rng, 500, ties=False)) > threshold.value) > 0.9
