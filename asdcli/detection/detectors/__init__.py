"""Detectors (contract: `detection/bank.py`). A new one is one file here and one line below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asdcli.detection.detectors.class_log_odds import ClassLogOdds
from asdcli.detection.detectors.cosine_knn import CosineKnn
from asdcli.detection.detectors.embedding_mahalanobis import EmbeddingMahalanobis
from asdcli.detection.detectors.mahalanobis import SelectiveMahalanobis
from asdcli.detection.detectors.mse import MeanSquaredError
from asdcli.detection.detectors.padim import Padim

DETECTORS: dict[str, Callable[..., Any]] = {
    "mse": MeanSquaredError,
    "selective_mahalanobis": SelectiveMahalanobis,
    "cosine_knn": CosineKnn,
    "embedding_mahalanobis": EmbeddingMahalanobis,
    "padim": Padim,
    "class_log_odds": ClassLogOdds,
}
