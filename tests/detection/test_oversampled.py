"""Synthetic target clips: SMOTE's own values, their parents, and clips that leave with their children."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTE

from asdcli.detection.bank import Bank
from asdcli.detection.detectors.knn import Knn
from asdcli.detection.detectors.mahalanobis import Mahalanobis
from asdcli.detection.domain_wise import NearestDomain
from asdcli.detection.oversampled import Oversampled, synthetic_parts
from asdcli.recipe.schema import Smote

DETECTORS: list[Callable[[], Any]] = [lambda: Knn(neighbours=1), Mahalanobis, lambda: NearestDomain(Knn)]


def bank(source: int, target: int, seed: int = 0) -> Bank:
    rng = np.random.default_rng(seed)
    is_target = np.isin(np.arange(source + target), rng.permutation(source + target)[:target])
    values = rng.standard_normal((source + target, 6)) + 3 * is_target[:, None]
    label = rng.integers(0, 4, source + target)
    return Bank({"embedding": values}, np.where(is_target, "target", "source"), np.full(len(values), "00"), label)


@given(source=st.integers(6, 20), target=st.integers(2, 5), neighbours=st.integers(1, 9), seed=st.integers(0, 100))
@settings(max_examples=20)
def test_the_values_are_those_of_imbalanced_learn(source: int, target: int, neighbours: int, seed: int) -> None:
    clips = bank(source, target, seed)
    x, is_target = clips.embeddings["embedding"], (clips.domain == "target").astype(int)
    sampler = SMOTE(sampling_strategy={1: source}, k_neighbors=min(neighbours, target - 1), random_state=0)
    expected = sampler.fit_resample(x, is_target)[0][len(x) :]
    parts = synthetic_parts(clips, Smote(neighbours=neighbours))
    np.testing.assert_allclose(parts @ x, expected, atol=1e-9)
    np.testing.assert_allclose(parts.sum(1), 1)
    assert ((parts > 0).sum(1) <= 2).all()
    assert not parts[:, is_target == 0].any()


@pytest.mark.parametrize(
    ("source", "target", "ratio", "made"),
    [
        (20, 5, 1.0, 15),
        (20, 5, 0.5, 5),
        (20, 5, 0.25, 0),
        (20, 1, 1.0, 0),
        (0, 8, 1.0, 0),
        (8, 0, 1.0, 0),
        (4, 6, 1.0, 0),
    ],
)
def test_as_many_as_are_missing(source: int, target: int, ratio: float, made: int) -> None:
    assert synthetic_parts(bank(source, target), Smote(ratio=ratio)).shape == (made, source + target)


@pytest.mark.parametrize("make", DETECTORS)
def test_left_out_a_clip_leaves_with_its_children(make: Callable[[], Any]) -> None:
    clips = bank(12, 4)
    whole = Oversampled(make, Smote())
    whole.fit(clips)
    parts = synthetic_parts(clips, Smote())
    children = parts @ clips.embeddings["embedding"]
    own = whole.score_bank()
    assert own.shape == (16,)
    for clip in range(16):
        rest = np.delete(np.arange(16), clip)
        left = parts[:, clip] == 0
        values = np.concatenate([clips.embeddings["embedding"][rest], children[left]])
        domain = np.concatenate([clips.domain[rest], np.full(left.sum(), "target")])
        plain = make()
        plain.fit(Bank({"embedding": values}, domain, np.full(len(values), "00")))
        expected = plain.score({"embedding": clips.embeddings["embedding"][[clip]]})[0]
        assert own[clip] == pytest.approx(expected, rel=1e-6), clip


def test_a_target_clip_is_no_longer_its_own_neighbour() -> None:
    """Children lie on the lines between target clips: with them in the bank, 1-NN would find each clip near itself."""
    clips = bank(40, 6)
    whole = Oversampled(lambda: Knn(neighbours=1, metric="euclidean"), Smote())
    whole.fit(clips)
    is_target = clips.domain == "target"
    naive = whole._detector.score_bank()[:46][is_target]
    assert (whole.score_bank()[is_target] >= naive - 1e-12).all()
    assert whole.score_bank()[is_target].mean() > 1.2 * naive.mean()


def test_a_bank_that_needs_none_is_the_detector_itself() -> None:
    clips, test = bank(10, 0), bank(5, 5, seed=3).embeddings
    whole, plain = Oversampled(Knn, Smote()), Knn()
    whole.fit(clips)
    plain.fit(clips)
    np.testing.assert_array_equal(whole.score(test), plain.score(test))
    np.testing.assert_array_equal(whole.score_bank(), plain.score_bank())


def test_embeddings_of_several_names_and_shapes_have_the_same_parents() -> None:
    values = bank(9, 3).embeddings["embedding"]
    clips = Bank(
        {"a": values.reshape(12, 2, 3), "b": (2 * values).astype(np.float32)}, bank(9, 3).domain, np.full(12, "00")
    )
    seen: list[Bank] = []

    class Keeps(Knn):
        def fit(self, bank: Bank) -> None:
            seen.append(bank)

    Oversampled(Keeps, Smote()).fit(clips)
    assert seen[0].embeddings["a"].shape == (18, 2, 3)
    np.testing.assert_allclose(2 * seen[0].embeddings["a"].reshape(18, 6), seen[0].embeddings["b"], rtol=1e-5)
    assert seen[0].embeddings["b"].dtype == np.float32
    assert (seen[0].domain[12:] == "target").all()
