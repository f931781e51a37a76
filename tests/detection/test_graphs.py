"""Detectors as torch operations give the scores that they give as arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from asdcli.detection.bank import Bank
from asdcli.detection.detectors.cosine import Cosine, SoftCosine
from asdcli.detection.detectors.knn import Knn
from asdcli.detection.detectors.mahalanobis import Mahalanobis, SoftMahalanobis
from asdcli.detection.detectors.mse import MeanSquaredError
from asdcli.detection.detectors.selective_mahalanobis import SelectiveMahalanobis
from asdcli.detection.domain_wise import DomainWise
from asdcli.detection.graphs import GRAPHS, graph_of
from asdcli.detection.oversampled import Oversampled
from asdcli.recipe.schema import Smote

CLIPS, PIECES, SIZE, FEATURES = 20, 3, 5, 4

DETECTORS: list[Callable[[], Any]] = [
    Knn,
    partial(Knn, unit="piece", neighbours=70),
    partial(Knn, metric="euclidean", reduce="sum", neighbours=3),
    partial(Knn, metric="euclidean", unit="piece"),
    Cosine,
    SoftCosine,
    Mahalanobis,
    partial(Mahalanobis, covariance="ledoit_wolf", squared=True, standardise=True),
    partial(Mahalanobis, covariance="diagonal"),
    SoftMahalanobis,
    MeanSquaredError,
    SelectiveMahalanobis,
    partial(SelectiveMahalanobis, average="official_code"),
    partial(DomainWise, partial(Mahalanobis, covariance="oas")),
    partial(DomainWise, Cosine),
    partial(Oversampled, Knn, Smote(ratio=0.8, neighbours=2)),
]


def embeddings(clips: int, pieces: bool, seed: int) -> dict[str, np.ndarray]:
    """As tasks make them, float32; the first clip's vectors are zero."""
    rng = np.random.default_rng(seed)
    vectors = 3 + rng.standard_normal((clips, PIECES, SIZE) if pieces else (clips, SIZE))
    vectors[0] = 0
    rows = rng.standard_normal((clips, 50, FEATURES)) * np.arange(1, FEATURES + 1)
    moments = np.einsum("nti,ntj->nij", rows, rows) / rows.shape[1]
    upper = np.triu_indices(FEATURES)
    named = {"embedding": vectors, "residual_mean": rows.mean(1), "residual_moment": moments[:, upper[0], upper[1]]}
    return {name: values.astype(np.float32) for name, values in named.items()}


@pytest.mark.parametrize("pieces", [False, True])
@pytest.mark.parametrize("make", DETECTORS)
def test_the_scores_are_those_of_arrays(make: Callable[[], Any], pieces: bool) -> None:
    domain = np.where(np.arange(CLIPS) < 14, "source", "target")
    detector = make()
    detector.fit(Bank(embeddings(CLIPS, pieces, 0), domain, np.full(CLIPS, "00")))
    others = embeddings(7, pieces, 1)
    found = graph_of(detector)({name: torch.from_numpy(values) for name, values in others.items()})
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), detector.score(others), rtol=1e-7)


def test_every_graph_is_compared() -> None:
    made = {type(make()) for make in DETECTORS}
    assert made == set(GRAPHS)


def test_a_detector_without_a_graph_is_its_own() -> None:
    class Mine:
        def score(self, named: Any) -> Any:
            return named["embedding"].mean(1)

    detector = Mine()
    assert graph_of(detector) == detector.score
