"""The six detectors of MobileAnoNet: the golden numbers of its published code, and what changes no score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import DATA
from hypothesis import given, settings
from hypothesis import strategies as st

from asdcli.detection.bank import Bank
from asdcli.detection.detectors import DETECTORS
from asdcli.recipe.components import Component, build

GOLDEN = np.load(DATA / "losses.npz")


@pytest.mark.parametrize(
    ("params", "golden"),
    [
        ({"name": "knn"}, "det_knn_cos_mean2_paper"),
        ({"name": "knn", "metric": "euclidean", "reduce": "sum"}, "det_knn_euclid_sum2"),
        ({"name": "lof"}, "det_lof_cos4"),
        ({"name": "cosine"}, "det_cos"),
        ({"name": "mahalanobis"}, "det_maha"),
        ({"name": "soft_cosine"}, "det_soft_cos"),
        ({"name": "soft_mahalanobis"}, "det_soft_maha"),
    ],
)
def test_scores_are_the_golden_ones(params: dict[str, Any], golden: str) -> None:
    np.testing.assert_allclose(scores(params)[0], GOLDEN[golden], rtol=1e-12)


def scores(params: dict[str, Any], change: Callable[[np.ndarray], np.ndarray] = lambda x: x) -> list[np.ndarray]:
    """Of the golden test clips and of the training clips themselves, with all embeddings changed."""
    training = change(GOLDEN["det_train"])
    domain = np.where(GOLDEN["det_train_is_target"], "target", "source")
    detector = build(DETECTORS, "detector", Component.model_validate(params))
    detector.fit(Bank({"embedding": training}, domain, np.full(len(training), "00")))
    return [detector.score({"embedding": change(GOLDEN["det_test"])}), detector.score_bank()]


@pytest.mark.parametrize("name", ["knn", "lof", "cosine", "soft_cosine"])
@given(exponent=st.floats(-6, 6))
@settings(max_examples=10)
def test_angles_do_not_know_how_long_embeddings_are(name: str, exponent: float) -> None:
    for before, after in zip(scores({"name": name}), scores({"name": name}, lambda x: 10**exponent * x), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["knn", "lof"])
def test_angles_to_single_clips_do_not_know_how_long_each_is(name: str) -> None:
    unit = scores({"name": name}, lambda x: x / np.linalg.norm(x, axis=1, keepdims=True))
    for before, after in zip(scores({"name": name}), unit, strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-9)


@given(exponent=st.floats(-6, 6))
@settings(max_examples=10)
def test_euclidean_distances_have_the_unit_of_embeddings(exponent: float) -> None:
    euclidean = {"name": "knn", "metric": "euclidean"}
    for before, after in zip(scores(euclidean), scores(euclidean, lambda x: 10**exponent * x), strict=True):
        np.testing.assert_allclose(after, 10**exponent * before, rtol=1e-9)


@pytest.mark.parametrize(
    "params",
    [
        {"name": "mahalanobis"},
        {"name": "soft_mahalanobis"},
        {"name": "mahalanobis", "covariance": "ledoit_wolf"},
        {"name": "knn", "metric": "euclidean"},
    ],
    ids=str,
)
@given(seed=st.integers(0, 1000))
@settings(max_examples=10)
def test_distances_do_not_know_where_embeddings_lie_nor_how_they_are_turned(params: dict[str, Any], seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn, shift = np.linalg.qr(rng.standard_normal((6, 6)))[0], rng.standard_normal(6)
    for before, after in zip(scores(params), scores(params, lambda x: x @ turn + shift), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-8)


@pytest.mark.parametrize("name", ["mahalanobis", "soft_mahalanobis"])
def test_shrunk_distances_do_not_know_the_unit(name: str) -> None:
    shrunk = {"name": name, "covariance": "ledoit_wolf"}
    for before, after in zip(scores(shrunk), scores(shrunk, lambda x: 1000 * x), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-9)
