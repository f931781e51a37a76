"""From training scores to decisions."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from asdcli.detection.thresholds import THRESHOLDS
from asdcli.errors import UserError
from asdcli.recipe.components import Component, build

GAMMA = stats.gamma(4, scale=2)


def threshold(name: str, scores: np.ndarray, **params: Any) -> float:
    found: float = build(THRESHOLDS, "threshold", Component.model_validate({"name": name, **params}), scores)
    return found


@pytest.mark.parametrize("name", THRESHOLDS)
def test_one_in_ten_normal_clips_is_a_false_alarm(name: str) -> None:
    training, later = (GAMMA.rvs(20_000, random_state=seed) for seed in (0, 1))
    for quantile in (0.9, 0.7):
        rate = np.mean(later > threshold(name, training, quantile=quantile))
        assert rate == pytest.approx(1 - quantile, abs=0.02)
    assert threshold(name, training) == threshold(name, training, quantile=0.9)


@pytest.mark.parametrize("name", THRESHOLDS)
@pytest.mark.parametrize("value", [0.0, 1 / 3, -2.5, 1e-12, 1e9])
def test_constant_scores_are_their_own_threshold(name: str, value: float) -> None:
    for count in (1, 2, 50):
        assert threshold(name, np.full(count, value)) == value


@pytest.mark.parametrize("name", THRESHOLDS)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_any_scores_have_a_threshold(name: str, scores: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = threshold(name, np.array(scores))
    assert np.isfinite(found)
    assert found >= min(scores)


@pytest.mark.parametrize("name", THRESHOLDS)
@pytest.mark.parametrize("quantile", [0, 1, 1.5, -0.1])
def test_an_impossible_quantile_is_the_users_error(name: str, quantile: float) -> None:
    with pytest.raises(UserError, match=f"threshold {name}: quantile lies between 0 and 1, not at {quantile}"):
        threshold(name, np.arange(1.0, 5.0), quantile=quantile)


def test_gamma_is_the_maximum_likelihood_fit_from_zero() -> None:
    scores = GAMMA.rvs(50, random_state=3)
    shape, location, scale = stats.gamma.fit(scores, floc=0)
    assert location == 0
    assert threshold("gamma", scores) == pytest.approx(stats.gamma.ppf(0.9, shape, scale=scale), rel=1e-12)
    assert stats.gamma.cdf(threshold("gamma", scores, quantile=0.5), shape, scale=scale) == pytest.approx(0.5)


@pytest.mark.parametrize("factor", [1e-9, 1e6])
def test_gamma_does_not_depend_on_the_unit(factor: float) -> None:
    scores = GAMMA.rvs(50, random_state=3)
    assert threshold("gamma", factor * scores) == pytest.approx(factor * threshold("gamma", scores), rel=1e-6)


@pytest.mark.parametrize("law", [GAMMA, stats.norm(), stats.uniform(), stats.lognorm(1)], ids=lambda law: law.dist.name)
@pytest.mark.parametrize("count", [30, 300])
def test_normalised_scores_keep_about_one_false_alarm_in_ten(law: Any, count: int) -> None:
    rates = []
    for seed in range(10):
        scores = law.rvs(count, random_state=seed)
        scores = (scores - scores.mean()) / scores.std()
        rates.append(np.mean(scores > threshold("gamma", scores)))
    assert np.mean(rates) == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("spread", [1e-6, 1e-8, 1e-12])
def test_almost_equal_scores_have_a_threshold_among_them(spread: float) -> None:
    scores = 1 + spread * np.random.default_rng(0).random(100)
    rate = np.mean(scores > threshold("gamma", scores))
    assert rate == pytest.approx(0.1, abs=0.05)


def test_quantile_is_the_empirical_one() -> None:
    assert threshold("quantile", np.arange(11.0), quantile=0.75) == 7.5
