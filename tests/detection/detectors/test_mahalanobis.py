"""Mahalanobis distance of embeddings, against scikit-learn's Ledoit-Wolf estimate and against plain refits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import fractional_matrix_power
from sklearn.covariance import OAS, LedoitWolf
from sklearn.metrics import DistanceMetric
from sklearn.preprocessing import StandardScaler

from asdcli.detection.bank import Bank
from asdcli.detection.detectors.mahalanobis import Mahalanobis


def vectors(clips: int, size: int, seed: int = 0) -> np.ndarray:
    """Clips off the origin whose values go together and differ in scale."""
    rng = np.random.default_rng(seed)
    return 3 + rng.standard_normal((clips, size)) @ rng.standard_normal((size, size)) * np.logspace(0, -2, size)


SHRUNK = {"covariance": "ledoit_wolf", "squared": True}
BOTH = [SHRUNK, {"covariance": "ridge", "squared": False}]


def fitted(values: np.ndarray, params: dict[str, Any] = SHRUNK) -> Mahalanobis:
    detector = Mahalanobis(**params)
    detector.fit(Bank({"embedding": values}, np.full(len(values), "source"), np.full(len(values), "00")))
    return detector


@pytest.mark.parametrize(("clips", "size"), [(200, 5), (30, 8), (10, 40)])
def test_the_covariance_is_shrunk_as_in_scikit_learn(clips: int, size: int) -> None:
    training, test = vectors(clips, size), vectors(7, size, seed=1)
    expected = LedoitWolf().fit(training).mahalanobis(test)
    np.testing.assert_allclose(fitted(training).score({"embedding": test}), expected, rtol=1e-6)


@pytest.mark.parametrize(("covariance", "reference"), [("ledoit_wolf", LedoitWolf), ("oas", OAS)])
@pytest.mark.parametrize(("clips", "size"), [(200, 5), (30, 8), (10, 40)])
def test_standardised_clips_are_those_of_scikit_learn(covariance: str, reference: Any, clips: int, size: int) -> None:
    training, test = vectors(clips, size), vectors(7, size, seed=1)
    scaler = StandardScaler().fit(training)
    expected = reference().fit(scaler.transform(training)).mahalanobis(scaler.transform(test))
    found = fitted(training, {"covariance": covariance, "squared": True, "standardise": True})
    np.testing.assert_allclose(found.score({"embedding": test}), expected, rtol=1e-6)


def test_the_oracle_approximating_shrinkage_is_that_of_scikit_learn() -> None:
    training, test = vectors(12, 8), vectors(7, 8, seed=1)
    expected = OAS().fit(training).mahalanobis(test)
    found = fitted(training, {"covariance": "oas", "squared": True})
    np.testing.assert_allclose(found.score({"embedding": test}), expected, rtol=1e-6)


def test_the_diagonal_knows_each_dimension_by_itself() -> None:
    training, test = vectors(12, 3), vectors(7, 3, seed=1)
    variances = training.var(0, ddof=1) + 1e-6
    expected = np.sqrt((np.square(test - training.mean(0)) / variances).sum(1))
    np.testing.assert_allclose(fitted(training, {"covariance": "diagonal"}).score({"embedding": test}), expected)


def test_in_units_of_their_deviation_dimensions_may_have_any_scale() -> None:
    training, test, scale = vectors(20, 6), vectors(5, 6, seed=1), np.logspace(-3, 3, 6)
    params = {"covariance": "ledoit_wolf", "standardise": True}
    one, other = fitted(training, params), fitted(training * scale, params)
    np.testing.assert_allclose(one.score({"embedding": test}), other.score({"embedding": test * scale}), rtol=1e-9)
    np.testing.assert_allclose(one.score_bank(), other.score_bank(), rtol=1e-9)


def test_the_shares_of_the_dimensions_make_up_the_squared_distance() -> None:
    """Against the inverse root of scikit-learn's covariance."""
    training, test = vectors(200, 5), vectors(7, 5, seed=1)
    reference = LedoitWolf().fit(training)
    white = (test - reference.location_) @ fractional_matrix_power(reference.covariance_, -0.5)
    expected = np.square(white) / reference.mahalanobis(test)[:, None]
    np.testing.assert_allclose(fitted(training).shares({"embedding": test}), expected, rtol=1e-5, atol=1e-9)
    assert (fitted(training).shares({"embedding": training.mean(0, keepdims=True)}) < 1e-9).all()


def test_the_largest_share_is_that_of_the_dimension_that_was_moved() -> None:
    training = vectors(60, 12)
    for covariance in ("ridge", "ledoit_wolf", "oas", "diagonal"):
        detector = fitted(training, {"covariance": covariance, "standardise": True})
        moved = training.mean(0) + np.diag(5 * training.std(0))
        shares = detector.shares({"embedding": moved})
        assert shares.argmax(1).tolist() == list(range(12))
        np.testing.assert_allclose(shares.sum(1), 1.0)


def test_the_numbers_of_version_0_1() -> None:
    """What `embedding_mahalanobis` of arcface_ensemble and ssl_classifier gave before it took options."""
    training, test = np.sin(np.arange(60.0) ** 2).reshape(5, 3, 4), np.cos(np.arange(24.0) ** 2).reshape(2, 3, 4)
    detector = fitted(training, SHRUNK)
    own = [2.6137650636021066, 5.6211685415222465, 3.7223039681339247, 7.0226493269026244, 121.86420333707042]
    np.testing.assert_allclose(detector.score({"embedding": test}), [9.088083155388164, 6.061260413761404], rtol=1e-11)
    np.testing.assert_allclose(detector.score_bank(), own, rtol=1e-11)


@pytest.mark.parametrize("params", BOTH, ids=["ledoit_wolf", "ridge"])
@given(st.integers(3, 12), st.integers(1, 15), st.integers(0, 1000))
def test_leaving_a_clip_out_is_fitting_without_it(params: dict[str, Any], clips: int, size: int, seed: int) -> None:
    training = vectors(clips, size, seed)
    expected = [
        fitted(np.delete(training, clip, 0), params).score({"embedding": training[clip : clip + 1]})[0]
        for clip in range(clips)
    ]
    np.testing.assert_allclose(fitted(training, params).score_bank(), expected, rtol=1e-6)


def tied(values: np.ndarray, sections: np.ndarray, home: str, params: dict[str, Any]) -> Mahalanobis:
    detector = Mahalanobis(**params, tied=True)
    detector.fit(Bank({"embedding": values}, np.full(len(values), "source"), sections, home=home))
    return detector


def test_sections_share_the_covariance_about_their_own_means() -> None:
    """Against scikit-learn's estimate from the deviations of each section's clips."""
    sections = np.repeat(["00", "01", "02"], (20, 9, 6))
    offsets = np.array([0.0, 10.0, -50.0])[np.unique(sections, return_inverse=True)[1]]
    training, test = vectors(35, 8) + offsets[:, None], vectors(7, 8, seed=1)
    means = {name: training[sections == name].mean(0) for name in ("00", "01", "02")}
    deviations = training - np.stack([means[name] for name in sections])
    scale = deviations.std(0)
    reference = LedoitWolf(assume_centered=True).fit(deviations / scale)
    for name, mean in means.items():
        found = tied(training, sections, name, {"covariance": "ledoit_wolf", "squared": True, "standardise": True})
        expected = [reference.mahalanobis((one - mean)[None] / scale)[0] for one in test]
        np.testing.assert_allclose(found.score({"embedding": test}), expected, rtol=1e-6)


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("covariance", ["ridge", "ledoit_wolf", "oas", "diagonal"])
@given(st.lists(st.integers(2, 5), min_size=2, max_size=3), st.integers(1, 9), st.integers(0, 1000))
def test_leaving_a_clip_of_a_section_out_is_fitting_without_it(
    covariance: str, standardise: bool, sizes: list[int], size: int, seed: int
) -> None:
    sections = np.repeat(["00", "01", "02"][: len(sizes)], sizes)
    params = {"covariance": covariance, "standardise": standardise}
    training = vectors(len(sections), size, seed) + 7.0 * (sections == "01")[:, None]
    expected = [
        tied(np.delete(training, clip, 0), np.delete(sections, clip), sections[clip], params).score(
            {"embedding": training[clip : clip + 1]}
        )[0]
        for clip in range(len(sections))
    ]
    rtol = 1e-3 if covariance == "ridge" else 1e-6  # of 1e-6 in empty directions
    np.testing.assert_allclose(tied(training, sections, "00", params).score_bank(), expected, rtol=rtol)


def test_one_section_is_tied_to_nothing() -> None:
    training, test = vectors(12, 5), vectors(3, 5, seed=1)
    one = tied(training, np.full(12, "00"), "00", SHRUNK)
    np.testing.assert_array_equal(one.score({"embedding": test}), fitted(training).score({"embedding": test}))
    np.testing.assert_array_equal(one.score_bank(), fitted(training).score_bank())


def test_a_section_without_clips_has_the_mean_of_all_and_an_only_clip_stays() -> None:
    training, sections = vectors(9, 4), np.repeat(["00", "01"], (8, 1))
    detector = tied(training, sections, "02", SHRUNK)
    np.testing.assert_allclose(detector.score({"embedding": training.mean(0)[None]}), 0.0, atol=1e-9)
    assert detector.score_bank()[-1] == 0
    assert np.isfinite(detector.score_bank()).all()


def test_the_ridge_is_that_of_the_published_code() -> None:
    """scikit-learn's distance, square root and all, with the sample covariance and 1e-6 on its diagonal."""
    training, test = vectors(30, 4), vectors(7, 4, seed=1)
    metric = DistanceMetric.get_metric("mahalanobis", V=np.cov(training.T) + 1e-6 * np.eye(4))
    expected = metric.pairwise(test, training.mean(0)[None])[:, 0]
    np.testing.assert_allclose(fitted(training, {}).score({"embedding": test}), expected, rtol=1e-8)


def test_with_a_ridge_clips_that_do_not_vary_are_far_from_all_others() -> None:
    alike = fitted(np.ones((5, 3)), {})
    np.testing.assert_allclose(alike.score({"embedding": np.array([[1.0, 1.0, 3.0]])}), [2e3])
    np.testing.assert_allclose(alike.score_bank(), 0.0, atol=1e-9)
    assert fitted(np.ones((1, 3)), {}).score_bank() == 0


def test_a_clip_is_the_mean_of_its_pieces() -> None:
    training, test = vectors(30, 4), vectors(3, 4, seed=1)
    own, other = (np.random.default_rng(2).standard_normal((n, 5, 4)) for n in (30, 3))
    in_pieces = fitted(training[:, None] + own - own.mean(1, keepdims=True))
    scores = in_pieces.score({"embedding": test[:, None] + other - other.mean(1, keepdims=True)})
    np.testing.assert_allclose(scores, fitted(training).score({"embedding": test}))


def test_clips_that_do_not_vary_are_at_euclidean_distance() -> None:
    alike, test = np.ones((5, 3)), np.array([[1.0, 2.0, 3.0]])
    for training in (alike, alike[:1]):
        np.testing.assert_allclose(fitted(training).score({"embedding": test}), [5.0])
        np.testing.assert_allclose(fitted(training).score_bank(), 0.0)


def test_two_clips_leave_no_axis_without_variance() -> None:
    two = fitted(np.array([[0.0, 0.0], [3.0, 4.0]]))
    np.testing.assert_allclose(two.score_bank(), [25.0, 25.0])
    across, along = two.score({"embedding": np.array([[1.5 - 4, 2.0 + 3], [1.5 + 3, 2.0 + 4]])})
    assert 100 * along < across < np.inf


@pytest.mark.parametrize(("spread", "rtol"), [(1.0, 1e-8), (100.0, 1e-4), (1000.0, 0.02)])
def test_the_only_clip_in_a_direction_is_left_out_right_however_far_it_lies(spread: float, rtol: float) -> None:
    """With a ridge and fewer clips than dimensions 1e-6 is all that is left of a direction."""
    training = spread * np.random.default_rng(0).standard_normal((8, 20))
    expected = [fitted(np.delete(training, i, 0), {}).score({"embedding": training[i : i + 1]})[0] for i in range(8)]
    np.testing.assert_allclose(fitted(training, {}).score_bank(), expected, rtol=rtol)
    alone = np.concatenate([training[:, :3] @ np.eye(3, 4), np.eye(4)[3:] * spread])  # more clips than dimensions
    others = fitted(alone[:-1], {}).score({"embedding": alone[-1:]})
    np.testing.assert_allclose(fitted(alone, {}).score_bank()[-1:], others, rtol=rtol)
