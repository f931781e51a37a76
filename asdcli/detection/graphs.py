"""The scores of fitted detectors as torch operations, for graphs that run where there is no asd.

All in float64, as the detectors themselves: distances are small differences of large numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asdcli.detection.bank import packed_trace_weights, symmetric_size
from asdcli.detection.detectors.cosine import Cosine, SoftCosine
from asdcli.detection.detectors.knn import Knn
from asdcli.detection.detectors.mahalanobis import Mahalanobis, SoftMahalanobis
from asdcli.detection.detectors.mse import MeanSquaredError
from asdcli.detection.detectors.selective_mahalanobis import SelectiveMahalanobis
from asdcli.detection.domain_wise import DomainWise, NearestDomain
from asdcli.detection.oversampled import Oversampled

Graph = Callable[[Mapping[str, Tensor]], Tensor]
"""What `score` of a detector does, on tensors: named embeddings `[clips, ...]` to `[clips]`."""


def graph_of(detector: Any) -> Graph:
    """The score of a fitted detector. Of one without a graph of its own it is `score` itself: it may take tensors."""
    make = GRAPHS.get(type(detector))
    return detector.score if make is None else make(detector)


def _knn(detector: Knn) -> Graph:
    bank, centre = torch.from_numpy(detector._bank).flatten(0, 1), torch.from_numpy(detector._centre)
    squares, k = bank.square().sum(1), min(detector.neighbours, len(bank))

    def score(named: Mapping[str, Tensor]) -> Tensor:
        values = _clip_vectors(named)[:, None] if detector.unit == "clip" else named["embedding"].double()
        pieces = values[:, None] if values.ndim == 2 else values
        vectors = pieces.flatten(0, 1)
        if detector.metric == "cosine":
            distances = 1 - _unit_vectors(vectors) @ bank.T
        else:
            about = vectors - centre
            distances = (about.square().sum(1, keepdim=True) + squares - 2 * about @ bank.T).clamp_min(0).sqrt()
        nearest = distances.topk(k, largest=False).values.mean(1)
        scores = nearest.unflatten(0, (len(pieces), -1)).mean(1)
        return scores * k if detector.reduce == "sum" else scores

    return score


def _cosine(detector: Cosine) -> Graph:
    mean = _unit_vectors(torch.from_numpy(detector._mean))
    return lambda named: 1 - _unit_vectors(_clip_vectors(named)) @ mean


def _mahalanobis(detector: Mahalanobis) -> Graph:
    kept, floor = detector._shrunk
    whiten = torch.from_numpy(detector._axes / np.sqrt(kept * detector._variances + floor))
    scale, mean = torch.as_tensor(detector._scale), torch.from_numpy(detector._mean)

    def score(named: Mapping[str, Tensor]) -> Tensor:
        squares = ((_clip_vectors(named) / scale - mean) @ whiten).square().sum(1)
        return squares if detector.squared else squares.sqrt()

    return score


def _nearest_domain(detector: NearestDomain) -> Graph:
    domains = [(graph_of(one._detector), one._mean, one._deviation) for one in detector._domains]
    return lambda named: torch.stack([(score(named) - mean) / deviation for score, mean, deviation in domains]).amin(0)


def _mse(detector: MeanSquaredError) -> Graph:
    def score(named: Mapping[str, Tensor]) -> Tensor:
        moment = named["residual_moment"].double()
        n = symmetric_size(moment.shape[1])
        return moment @ torch.from_numpy(packed_trace_weights(np.eye(n) / n))

    return score


def _selective_mahalanobis(detector: SelectiveMahalanobis) -> Graph:
    inverses = list(detector._inverses.values())
    if detector.average == "official_code":
        matrices = torch.from_numpy(np.stack(inverses))  # [domains, features, features]

        def of_means(named: Mapping[str, Tensor]) -> Tensor:
            means = named["residual_mean"].double()
            return ((means @ matrices) * means).sum(2).amin(0)

        return of_means
    weights = torch.from_numpy(np.stack([packed_trace_weights(one) / len(one) for one in inverses], 1))
    return lambda named: (named["residual_moment"].double() @ weights).amin(1)


def _oversampled(detector: Oversampled) -> Graph:
    return graph_of(detector._detector)


GRAPHS: dict[type, Callable[[Any], Graph]] = {
    Knn: _knn,
    Cosine: _cosine,
    SoftCosine: _nearest_domain,
    Mahalanobis: _mahalanobis,
    SoftMahalanobis: _nearest_domain,
    DomainWise: _nearest_domain,
    MeanSquaredError: _mse,
    SelectiveMahalanobis: _selective_mahalanobis,
    Oversampled: _oversampled,
}


def _clip_vectors(named: Mapping[str, Tensor]) -> Tensor:
    """As `clip_vectors` of arrays: `[clips, size]`."""
    values = named["embedding"].double()
    return values.mean(1) if values.ndim == 3 else values


def _unit_vectors(values: Tensor) -> Tensor:
    """As `unit_vectors` of arrays."""
    return values / values.square().sum(-1, keepdim=True).sqrt().clamp_min(1e-12)
