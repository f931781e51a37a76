"""Both published scores of the auto-encoder, from moments, against plain formulas over all residual rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from asdcli.detection.bank import Bank, Embeddings
from asdcli.detection.detectors import DETECTORS
from asdcli.nn.backbones.dense_autoencoder import DenseAutoencoder
from asdcli.recipe.components import Component, build
from asdcli.training.tasks.reconstruction import Reconstruction

FRAMES, FEATURES = 3, 6


class Residuals:
    """Some clips as windows, and what an untrained network leaves of them: per clip, rows `[windows * frames, F]`."""

    def __init__(self, clips: int, seed: int, windows: int = 20) -> None:
        torch.manual_seed(0)
        model = DenseAutoencoder((FRAMES, FEATURES), hidden=8, layers=1, bottleneck=2)
        task = Reconstruction(model, view=None).eval()  # type: ignore[arg-type]
        generator = torch.Generator().manual_seed(seed)
        parts = [torch.randn(windows + i, FRAMES, FEATURES, generator=generator) + 0.3 for i in range(clips)]
        with torch.no_grad():
            self.rows = [(task.model(x) - x).reshape(-1, FEATURES).double().numpy() for x in parts]
            made = task.embed(torch.cat(parts), [len(x) for x in parts])
        self.embeddings: Embeddings = {name: values.numpy() for name, values in made.items()}


@pytest.fixture(scope="module")
def training() -> Residuals:
    return Residuals(clips=8, seed=1)


@pytest.fixture(scope="module")
def test_clips() -> Residuals:
    return Residuals(clips=5, seed=2)


DOMAIN = np.array(["source"] * 6 + ["target"] * 2)


def detector(
    training: Residuals, domain: np.ndarray = DOMAIN, name: str = "selective_mahalanobis", **params: Any
) -> Any:
    built = build(DETECTORS, "detector", Component.model_validate({"name": name, **params}))
    built.fit(Bank(training.embeddings, domain, np.full(len(domain), "00")))
    return built


def covariance(rows: list[np.ndarray]) -> np.ndarray:
    """The mean over clips of each clip's second moment: residuals are not centred."""
    return np.mean([part.T @ part / len(part) for part in rows], 0)


def gram(rows: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    return rows @ inverse @ rows.T


def test_mse_is_the_mean_squared_residual(training: Residuals, test_clips: Residuals) -> None:
    mse = detector(training, name="mse")
    np.testing.assert_allclose(mse.score(test_clips.embeddings), [np.mean(r**2) for r in test_clips.rows], rtol=1e-5)
    np.testing.assert_allclose(mse.score_bank(), [np.mean(r**2) for r in training.rows], rtol=1e-5)


@pytest.mark.parametrize("average", ["frames", "official_code"])
def test_mahalanobis_over_all_rows(training: Residuals, test_clips: Residuals, average: str) -> None:
    inverses = [np.linalg.inv(covariance(part)) for part in (training.rows[:6], training.rows[6:])]
    expected = []
    for rows in test_clips.rows:
        if average == "frames":  # squared distance of every row, averaged, per feature
            distances = [np.mean(np.diag(gram(rows, inverse))) / FEATURES for inverse in inverses]
        else:  # every entry of delta Sigma^-1 delta^T, averaged
            distances = [np.mean(gram(rows, inverse)) for inverse in inverses]
        expected.append(min(distances))
    scores = detector(training, average=average).score(test_clips.embeddings)
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_frames_is_the_default_and_differs_from_the_code(training: Residuals, test_clips: Residuals) -> None:
    default, frames, code = (
        detector(training, **params).score(test_clips.embeddings)
        for params in ({}, {"average": "frames"}, {"average": "official_code"})
    )
    np.testing.assert_array_equal(default, frames)
    assert not np.allclose(frames, code, rtol=0.1)


def test_the_nearer_domain_counts(training: Residuals) -> None:
    loud = {"residual_mean": 3 * training.embeddings["residual_mean"]}
    loud["residual_moment"] = 9 * training.embeddings["residual_moment"]
    both = {name: np.concatenate([training.embeddings[name], loud[name]]) for name in loud}
    two = build(DETECTORS, "detector", Component(name="selective_mahalanobis"))
    two.fit(Bank(both, np.repeat(["source", "target"], 8), np.full(16, "00")))
    source = detector(training, np.full(8, "source")).score(training.embeddings)
    np.testing.assert_allclose(two.score(training.embeddings), source / 9, rtol=1e-6)


@pytest.mark.parametrize("domain", ["source", "target", ""])
def test_a_domain_without_clips_uses_the_other(training: Residuals, test_clips: Residuals, domain: str) -> None:
    inverse = np.linalg.inv(covariance(training.rows))
    expected = [np.mean(np.diag(gram(rows, inverse))) / FEATURES for rows in test_clips.rows]
    scores = detector(training, np.full(8, domain)).score(test_clips.embeddings)
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


@pytest.mark.parametrize("average", ["frames", "official_code"])
def test_the_only_clip_of_a_domain_is_scored_against_the_other(training: Residuals, average: str) -> None:
    domain = np.array(["source"] * 7 + ["target"])
    first = {name: values[:7] for name, values in training.embeddings.items()}
    last = {name: values[7:] for name, values in training.embeddings.items()}
    alone = build(
        DETECTORS, "detector", Component.model_validate({"name": "selective_mahalanobis", "average": average})
    )
    alone.fit(Bank(first, domain[:7], np.full(7, "00")))
    own = detector(training, domain, average=average).score_bank()
    np.testing.assert_allclose(own[7], alone.score(last)[0], rtol=1e-9)


def test_too_few_rows_for_a_covariance_still_give_an_order() -> None:
    """Two rows in six dimensions, in float32: the rounding of the moments must not become variances of either sign."""
    rng = np.random.default_rng(0)
    upper = np.triu_indices(60)

    def moments(rows: np.ndarray) -> Embeddings:
        rows = rows.astype(np.float32)
        return {"residual_mean": rows.mean(0)[None], "residual_moment": (rows.T @ rows / len(rows))[upper][None]}

    plane = rng.standard_normal((2, 60))
    for _ in range(20):
        known, inside = (10 * rng.standard_normal((9, 2)) @ plane for _ in range(2))
        built = build(DETECTORS, "detector", Component(name="selective_mahalanobis"))
        built.fit(Bank(moments(known), np.array(["source"]), np.array(["00"])))
        near, far = built.score(moments(inside))[0], built.score(moments(rng.standard_normal((9, 60))))[0]
        assert 0 < near < far
        assert built.score_bank()[0] == pytest.approx(2 / 60, rel=0.1)


def test_the_floor_does_not_touch_what_float32_can_tell(training: Residuals, test_clips: Residuals) -> None:
    scale = np.geomspace(1, np.sqrt(1e-5), FEATURES)[::-1]  # the least variance of real residuals, ToyCar of 2020
    shrunk = [Residuals.__new__(Residuals) for _ in range(2)]
    upper = np.triu_indices(FEATURES)
    for new, old in zip(shrunk, (training, test_clips), strict=True):
        new.rows = [rows @ np.linalg.inv(np.linalg.cholesky(covariance(training.rows))).T * scale for rows in old.rows]
        moments = [rows.T @ rows / len(rows) for rows in new.rows]
        new.embeddings = {
            "residual_mean": np.stack([rows.mean(0) for rows in new.rows]),
            "residual_moment": np.stack([moment[upper] for moment in moments]),
        }
    inverse = np.linalg.inv(covariance(shrunk[0].rows))
    expected = [np.mean(np.diag(gram(rows, inverse))) / FEATURES for rows in shrunk[1].rows]
    scores = detector(shrunk[0], np.full(8, "source")).score(shrunk[1].embeddings)
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_residuals_of_nothing_are_no_error() -> None:
    silent = {"residual_mean": np.zeros((3, 2), np.float32), "residual_moment": np.zeros((3, 3), np.float32)}
    for name in ("mse", "selective_mahalanobis"):
        built = build(DETECTORS, "detector", Component(name=name))
        built.fit(Bank(silent, np.array(["source", "source", "target"]), np.full(3, "00")))
        np.testing.assert_array_equal(built.score_bank(), 0)
        np.testing.assert_array_equal(built.score(silent), 0)
