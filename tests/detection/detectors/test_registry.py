"""Every registered detector, built with its defaults: fitted on a bank, scoring, leaving its own clips out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asdcli.detection.bank import Bank, Embeddings, take
from asdcli.detection.detectors import DETECTORS
from asdcli.errors import UserError
from asdcli.recipe.components import Component, build

FEATURES = 4


def embeddings(clips: int, loudness: float = 1.0, seed: int = 0) -> Embeddings:
    """What tasks make of clips, by every name that a detector may ask for."""
    rng = np.random.default_rng(seed)
    rows = loudness * (rng.standard_normal((clips, 50, FEATURES)) + 0.1)
    moments = np.einsum("cri,crj->cij", rows, rows) / rows.shape[1]
    upper = np.triu_indices(FEATURES)
    pieces = (
        np.eye(FEATURES)[0] + (loudness - 1) * np.eye(FEATURES)[1] + 0.05 * rng.standard_normal((clips, 3, FEATURES))
    )
    return {
        "embedding": pieces.astype(np.float32),
        "log_odds": (8 * loudness - 12 + 0.1 * rng.standard_normal((clips, 3))).astype(np.float32),
        "positions": rows[:, :6].reshape(clips, 2, 3, FEATURES).astype(np.float32),
        "residual_mean": rows.mean(1).astype(np.float32),
        "residual_moment": moments[:, upper[0], upper[1]].astype(np.float32),
    }


def bank(clips: int = 12, domain: str | None = None) -> Bank:
    """Clips of one section, and two of three classes."""
    domains = np.where(np.arange(clips) % 4 == 0, "target", "source") if domain is None else np.full(clips, domain)
    return Bank(embeddings(clips), domains, np.full(clips, "00"), 2 * (np.arange(clips) % 2))


def fitted(name: str, training: Bank | None = None, **params: Any) -> Any:
    detector = build(DETECTORS, "detector", Component.model_validate({"name": name, **params}))
    detector.fit(training or bank())
    return detector


@pytest.mark.parametrize("name", DETECTORS)
def test_scores_are_finite_and_one_per_clip(name: str) -> None:
    detector = fitted(name)
    for scores, clips in ((detector.score(embeddings(7, seed=1)), 7), (detector.score_bank(), 12)):
        assert scores.shape == (clips,)
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", DETECTORS)
def test_larger_is_more_anomalous(name: str) -> None:
    detector = fitted(name)
    normal, anomalous = detector.score(embeddings(20, seed=1)), detector.score(embeddings(20, 5.0, seed=2))
    assert normal.max() < anomalous.min()


@pytest.mark.parametrize("name", DETECTORS)
def test_a_score_does_not_depend_on_the_other_clips(name: str) -> None:
    detector, clips = fitted(name), embeddings(6, seed=1)
    alone = [detector.score({key: values[i : i + 1] for key, values in clips.items()})[0] for i in range(6)]
    np.testing.assert_allclose(detector.score(clips), alone, rtol=1e-9)


OPTIONS: dict[str, list[dict[str, Any]]] = {  # what takes another way through a detector than its defaults do
    "knn": [
        {"unit": "piece", "neighbours": 4},
        {"metric": "euclidean", "reduce": "sum"},
        {"metric": "euclidean", "unit": "piece", "neighbours": 100},
    ],
    "local_density": [
        {"neighbours": 3},
        {"form": "difference", "neighbours": 2},
        {"metric": "euclidean", "reduce": "sum", "neighbours": 2},
    ],
    "soft_local_density": [{"neighbours": 2, "target_neighbours": 1}, {"form": "difference"}],
    "lof": [{"neighbours": 2}],
    "mahalanobis": [
        {"covariance": "ledoit_wolf", "squared": True},
        {"covariance": "ledoit_wolf", "standardise": True},
        {"covariance": "oas"},
        {"covariance": "oas", "standardise": True},
        {"covariance": "diagonal"},
        {"covariance": "diagonal", "standardise": True},
        {"covariance": "ridge", "standardise": True},
    ],
    "soft_mahalanobis": [{"covariance": "ledoit_wolf"}],
    "padim": [{"share_time": True, "reduce": "mean"}],
}


VARIANTS = [(name, params) for name in DETECTORS for params in [{}, *OPTIONS.get(name, [])]]


@pytest.mark.parametrize(("name", "params"), VARIANTS)
@settings(max_examples=15)
@given(
    is_target=st.lists(st.booleans(), min_size=4, max_size=9),  # four: no class loses its only clip
    copies=st.integers(1, 2),
    seed=st.integers(0, 1000),
)
def test_a_clip_of_the_bank_is_scored_as_if_it_were_not_in_it(
    name: str, params: dict[str, Any], is_target: list[bool], copies: int, seed: int
) -> None:
    """In any mixture of domains, one with a single clip or none among them; also where each clip is there twice."""
    clips, domain = embeddings(len(is_target), seed=seed), np.where(is_target, "target", "source")
    one = Bank(clips, domain, np.full(len(domain), "00"), 2 * (np.arange(len(domain)) % 2))
    training = one.take(np.tile(np.arange(len(domain)), copies))
    expected = []
    for clip in range(len(training.domain)):
        others = np.delete(np.arange(len(training.domain)), clip)
        expected.append(fitted(name, training.take(others), **params).score(take(training.embeddings, [clip]))[0])
    own = fitted(name, training, **params).score_bank()
    np.testing.assert_allclose(own, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("name", "params"), VARIANTS)
@pytest.mark.parametrize("clips", [1, 2, 6])
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_clips_that_are_alike_or_nothing_are_scored_without_a_warning(
    name: str, params: dict[str, Any], clips: int, value: float
) -> None:
    training = bank(clips)
    alike = {key: np.full_like(values, value) for key, values in training.embeddings.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector = fitted(name, Bank(alike, training.domain, training.section, training.label), **params)
        own, other = detector.score_bank(), detector.score(embeddings(3, seed=1))
    assert np.isfinite(own).all()
    assert np.isfinite(other).all()
    np.testing.assert_allclose(np.ptp(own), 0, atol=1e-6)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("domain", ["source", "target", ""])
def test_a_bank_of_one_domain_is_enough(name: str, domain: str) -> None:
    detector = fitted(name, bank(5, domain))
    assert np.isfinite(detector.score(embeddings(3, seed=1))).all()
    assert np.isfinite(detector.score_bank()).all()


@pytest.mark.parametrize("name", DETECTORS)
def test_a_bank_of_one_clip_is_enough(name: str) -> None:
    detector = fitted(name, bank(1, "target"))
    assert np.isfinite(detector.score_bank()).all()


@pytest.mark.parametrize("name", DETECTORS)
def test_a_machine_without_training_clips_is_the_users_error(name: str) -> None:
    with pytest.raises(UserError, match=f"{name.removeprefix('soft_')} has no training clips to learn from"):
        fitted(name, bank(3).take(np.arange(0)))


@pytest.mark.parametrize("name", DETECTORS)
def test_a_missing_embedding_is_the_users_error(name: str) -> None:
    odd = {"logits": np.zeros((3, 2))}
    with pytest.raises(UserError, match=f"Detector {name.removeprefix('soft_')} needs the embedding '.*makes: logits"):
        fitted(name, Bank(odd, np.full(3, "source"), np.full(3, "00")))
