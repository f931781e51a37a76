"""Domain-wise scores, against detectors fitted to each domain by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asdcli.detection.bank import Bank
from asdcli.detection.detectors import DETECTORS as REGISTRY
from asdcli.detection.detectors.knn import Knn
from asdcli.detection.detectors.mahalanobis import Mahalanobis
from asdcli.detection.domain_wise import LEAST, DomainWise

DETECTORS: list[Callable[[], Any]] = [Knn, Mahalanobis]


def bank(source: int, target: int, seed: int = 0) -> Bank:
    """Source clips close together, target clips elsewhere and far from each other; target clips come in between."""
    rng = np.random.default_rng(seed)
    clips = source + target
    is_target = np.zeros(clips, bool)
    is_target[rng.permutation(clips)[:target]] = True
    near = np.eye(4)[is_target.astype(int)]
    values = near + np.where(is_target, 0.3, 0.03)[:, None] * rng.standard_normal((clips, 4))
    return Bank({"embedding": values}, np.where(is_target, "target", "source"), np.full(clips, "00"))


def fitted(detector: Any, training: Bank) -> Any:
    detector.fit(training)
    return detector


@pytest.mark.parametrize("make", DETECTORS)
@given(source=st.integers(LEAST, 12), target=st.integers(LEAST, 8), seed=st.integers(0, 1000))
def test_the_smaller_of_two_standardised_scores(make: Callable[[], Any], source: int, target: int, seed: int) -> None:
    training, test = bank(source, target, seed), bank(4, 4, seed + 1).embeddings
    whole = fitted(DomainWise(make), training)
    expected, own = [], []
    for domain in ("source", "target"):
        rows = np.flatnonzero(training.domain == domain)
        part = fitted(make(), training.take(rows))
        left_out = part.score_bank()
        expected.append((part.score(test) - left_out.mean()) / left_out.std())
        scores = part.score(training.embeddings)
        scores[rows] = left_out
        own.append((scores - left_out.mean()) / left_out.std())
    np.testing.assert_allclose(whole.score(test), np.minimum(*expected), rtol=1e-9)
    np.testing.assert_allclose(whole.score_bank(), np.minimum(*own), rtol=1e-9)


def test_shares_are_those_of_the_nearer_domain() -> None:
    training, test = bank(9, 6), bank(5, 5, seed=1)
    whole = fitted(DomainWise(Mahalanobis), training)
    parts = [fitted(Mahalanobis(), training.take(np.flatnonzero(training.domain == d))) for d in ("source", "target")]
    standardised = [
        (part.score(test.embeddings) - own.mean()) / own.std() for part in parts for own in [part.score_bank()]
    ]
    nearer = np.argmin(standardised, 0)
    assert set(nearer.tolist()) == {0, 1}
    expected = np.stack([part.shares(test.embeddings) for part in parts])[nearer, np.arange(10)]
    np.testing.assert_allclose(whole.shares(test.embeddings), expected)


def test_in_a_bank_of_sections_the_home_tells_the_units_and_whether_there_are_two_domains() -> None:
    one, other, test = bank(9, 6), bank(9, 6, seed=1), bank(5, 5, seed=2).embeddings
    values = np.concatenate([one.embeddings["embedding"], 3 + 2 * other.embeddings["embedding"]])
    domain, section = np.concatenate([one.domain, other.domain]), np.repeat(["00", "01"], 15)
    whole = fitted(DomainWise(partial(Mahalanobis, tied=True)), Bank({"embedding": values}, domain, section, home="00"))
    expected = []
    for name in ("source", "target"):
        part = Mahalanobis(tied=True)
        part.fit(
            Bank({"embedding": values[domain == name]}, domain[domain == name], section[domain == name], home="00")
        )
        own = part.score_bank()[section[domain == name] == "00"]
        expected.append((part.score(test) - own.mean()) / own.std())
    np.testing.assert_allclose(whole.score(test), np.minimum(*expected))
    few = np.where((section == "00") & (np.cumsum(domain == "target") > LEAST - 1), "source", domain)
    together = fitted(DomainWise(Mahalanobis), Bank({"embedding": values}, few, section, home="00"))
    assert len(together._domains) == 1
    assert len(fitted(DomainWise(Mahalanobis), Bank({"embedding": values}, few, section, home="01"))._domains) == 2


def test_scattered_target_clips_do_not_look_anomalous() -> None:
    training, normal = bank(100, 20), bank(100, 100, seed=1)
    is_target = normal.domain == "target"
    plain, domain_wise = (fitted(detector, training).score(normal.embeddings) for detector in (Knn(), DomainWise(Knn)))
    assert np.median(plain[is_target]) > np.quantile(plain[~is_target], 0.99)
    assert np.median(domain_wise[is_target]) < np.quantile(domain_wise[~is_target], 0.9)


@pytest.mark.parametrize("target", range(LEAST))
def test_one_detector_where_a_domain_has_too_few_clips(target: int) -> None:
    training, test = bank(10, target), bank(5, 5, seed=1).embeddings
    plain, domain_wise = fitted(Knn(), training), fitted(DomainWise(Knn), training)
    own = plain.score_bank()
    np.testing.assert_allclose(domain_wise.score(test), (plain.score(test) - own.mean()) / own.std())
    np.testing.assert_allclose(domain_wise.score_bank(), (own - own.mean()) / own.std())


def test_training_clips_that_are_all_alike() -> None:
    alike = Bank({"embedding": np.ones((6, 2))}, np.repeat(["source", "target"], 3), np.full(6, "00"))
    detector = fitted(DomainWise(Knn), alike)
    np.testing.assert_allclose(detector.score_bank(), 0, atol=1e-9)
    assert detector.score({"embedding": np.array([[1.0, -1.0]])})[0] > 0.5


def test_classes_go_with_their_clips() -> None:
    training = Bank({"embedding": np.ones((8, 2))}, np.tile(["source", "target"], 4), np.full(8, "00"), np.arange(8))
    seen: list[np.ndarray] = []

    class Noting(Knn):
        def fit(self, bank: Bank) -> None:
            assert bank.label is not None
            seen.append(bank.label)
            super().fit(bank)

    fitted(DomainWise(Noting), training)
    np.testing.assert_array_equal(np.array(seen), [[0, 2, 4, 6], [1, 3, 5, 7]])


@pytest.mark.parametrize("name", ["cosine", "mahalanobis"])
@given(source=st.integers(2, 12), target=st.integers(2, 8), seed=st.integers(0, 1000))
def test_soft_is_the_smaller_of_two_plain_scores(name: str, source: int, target: int, seed: int) -> None:
    training, test = bank(source, target, seed), bank(4, 4, seed + 1).embeddings
    whole = fitted(REGISTRY[f"soft_{name}"](), training)
    parts = [training.take(np.flatnonzero(training.domain == domain)) for domain in ("source", "target")]
    expected = [fitted(REGISTRY[name](), part).score(test) for part in parts]
    np.testing.assert_allclose(whole.score(test), np.minimum(*expected), rtol=1e-9)


@pytest.mark.parametrize("domain", ["source", "target"])
def test_a_soft_score_of_the_only_clip_of_a_domain_is_that_of_the_other(domain: str) -> None:
    training = bank(*(1, 5) if domain == "source" else (5, 1))
    lone = np.flatnonzero(training.domain == domain)
    others = training.take(np.flatnonzero(training.domain != domain))
    expected = fitted(REGISTRY["cosine"](), others).score({"embedding": training.embeddings["embedding"][lone]})
    np.testing.assert_allclose(fitted(REGISTRY["soft_cosine"](), training).score_bank()[lone], expected)
