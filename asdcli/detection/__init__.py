"""Embeddings to anomaly scores. A new detector is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asdcli.detection.class_log_odds import ClassLogOdds
from asdcli.detection.cosine_knn import CosineKnn
from asdcli.detection.embedding_mahalanobis import EmbeddingMahalanobis
from asdcli.detection.mahalanobis import SelectiveMahalanobis
from asdcli.detection.mse import MeanSquaredError
from asdcli.detection.padim import Padim
from asdcli.detection.thresholds import gamma_threshold, quantile_threshold

DETECTORS: dict[str, Callable[..., Any]] = {
    "mse": MeanSquaredError,
    "selective_mahalanobis": SelectiveMahalanobis,
    "cosine_knn": CosineKnn,
    "embedding_mahalanobis": EmbeddingMahalanobis,
    "padim": Padim,
    "class_log_odds": ClassLogOdds,
}

THRESHOLDS: dict[str, Callable[..., Any]] = {"gamma": gamma_threshold, "quantile": quantile_threshold}
