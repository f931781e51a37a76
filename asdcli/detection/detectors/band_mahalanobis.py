"""A Mahalanobis distance per frequency band of a network's layers."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from asdcli.detection.bank import Bank, Embeddings, need
from asdcli.detection.detectors.mahalanobis import Covariance, Mahalanobis


class BandMahalanobis:
    """The mean over frequency bands of `Mahalanobis` distances, each of the band's features averaged over time.

    What PaDiM does place by place (`padim`), for machines that sound all the while: no place in time means the same in
    two clips, but a band does.

    Args:
        covariance, squared, standardise, tied: of each band. The mean of squared distances goes by how likely a clip is
            if bands are independent.
    """

    def __init__(
        self,
        *,
        covariance: Covariance = "ledoit_wolf",
        squared: bool = False,
        standardise: bool = False,
        tied: bool = False,
    ) -> None:
        self._make = partial(Mahalanobis, covariance=covariance, squared=squared, standardise=standardise, tied=tied)

    def fit(self, bank: Bank) -> None:
        bank.refuse_empty("band_mahalanobis")
        self._bands = []
        for band in _bands(bank.embeddings):
            self._bands.append(self._make())
            self._bands[-1].fit(replace(bank, embeddings=band))

    def score(self, embeddings: Embeddings) -> np.ndarray:
        bands = zip(self._bands, _bands(embeddings), strict=True)
        return np.mean([detector.score(band) for detector, band in bands], axis=0)

    def score_bank(self) -> np.ndarray:
        """Each clip against the Gaussians of the others."""
        return np.mean([detector.score_bank() for detector in self._bands], axis=0)


def _bands(embeddings: Embeddings) -> list[Embeddings]:
    """The features of each band at each time, as pieces of a clip: `[clips, times, channels]`."""
    positions = need(embeddings, "positions", "band_mahalanobis")
    return [{"embedding": positions[:, band]} for band in range(positions.shape[1])]
