"""Detectors (contract: `detection/bank.py`). A new one is one file here and one line below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asdcli.detection.detectors.band_mahalanobis import BandMahalanobis
from asdcli.detection.detectors.class_log_odds import ClassLogOdds
from asdcli.detection.detectors.cosine import Cosine, SoftCosine
from asdcli.detection.detectors.knn import Knn
from asdcli.detection.detectors.local_density import LocalDensity, SoftLocalDensity
from asdcli.detection.detectors.lof import LocalOutlierFactor
from asdcli.detection.detectors.mahalanobis import Mahalanobis, SoftMahalanobis
from asdcli.detection.detectors.mse import MeanSquaredError
from asdcli.detection.detectors.padim import Padim
from asdcli.detection.detectors.selective_mahalanobis import SelectiveMahalanobis

DETECTORS: dict[str, Callable[..., Any]] = {
    "mse": MeanSquaredError,
    "selective_mahalanobis": SelectiveMahalanobis,
    "knn": Knn,
    "local_density": LocalDensity,
    "soft_local_density": SoftLocalDensity,
    "lof": LocalOutlierFactor,
    "cosine": Cosine,
    "mahalanobis": Mahalanobis,
    "soft_cosine": SoftCosine,
    "soft_mahalanobis": SoftMahalanobis,
    "padim": Padim,
    "band_mahalanobis": BandMahalanobis,
    "class_log_odds": ClassLogOdds,
}
