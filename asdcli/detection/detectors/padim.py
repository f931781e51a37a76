"""A Gaussian at each place of the spectrogram: PaDiM (Defard et al. 2020, arXiv:2011.08785)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from asdcli.detection.bank import Bank, Embeddings, need
from asdcli.errors import UserError


class Padim:
    """Mahalanobis distance of each place's features to a Gaussian of the training clips' features there.

    Each place has mean and covariance of its own, Sigma = (sum over clips of (x - mu)(x - mu)^T) / (n - 1) + ridge I
    (eq. 1), and its distance sqrt((x - mu)^T Sigma^-1 (x - mu)) (eq. 2) is the anomaly map. The paper's images are
    aligned, so that a place means the same in all of them. Time in a recording of a machine that simply runs does not:
    `share_time` has one Gaussian per frequency band, over all clips and times, and so more to learn it from.

    Args:
        ridge: added to the variances; 0.01 in the paper.
        share_time: one Gaussian per frequency band instead of one per band and time.
        reduce: a clip's score is the largest distance of its map (the paper), or the mean.
    """

    def __init__(
        self, *, ridge: float = 0.01, share_time: bool = False, reduce: Literal["max", "mean"] = "max"
    ) -> None:
        if ridge <= 0:
            raise ValueError(f"ridge is {ridge}; it has to be above 0")
        self.ridge, self.share_time, self.reduce = ridge, share_time, reduce

    def fit(self, bank: Bank) -> None:
        bank.refuse_empty("padim")
        self._bank = _positions(bank.embeddings)
        self._means, self._factors = [], []
        for rows in self._places(self._bank):
            flat = rows.reshape(-1, rows.shape[2])
            self._means.append(flat.mean(0))
            self._factors.append(self._factor(flat - self._means[-1], len(flat)))

    def map(self, embeddings: Embeddings) -> np.ndarray:
        """Distances at each place: `[clips, bands, times]`, float64."""
        positions = _positions(embeddings)
        if positions.shape[1:] != self._bank.shape[1:]:
            raise UserError(
                f"padim learned a grid of {_grid(self._bank)}, but these clips have {_grid(positions)}.",
                "Clips of one machine need the same length: view: {name: whole_clips, frames: ...}",
            )
        places = zip(self._places(positions), self._means, self._factors, strict=True)
        return self._assembled([_distances(factor, rows - mean) for rows, mean, factor in places])

    def map_bank(self) -> np.ndarray:
        """The map of each clip of the bank against the others: `[clips, bands, times]`, float64.

        Exact, with one factorisation per Gaussian. Let X `[m, channels]` be a clip's rows minus the mean of all n rows
        (m: times with `share_time`, else 1), S the scatter of all, and r = n - m. The rest has the scatter
        S - X^T W X with W = I + 1 1^T / r, and the clip's rows lie at W X from its mean. With A = S + (r - 1) ridge I
        and G = X A^-1 X^T, Woodbury's identity leaves for the squared distances (r - 1) diag((W^-1 - G)^-1 - W), where
        W^-1 = I - 1 1^T / n. The clip of a bank of one is mapped against itself.
        """
        if len(self._bank) == 1:
            return self.map({"positions": self._bank})
        places = zip(self._places(self._bank), self._means, strict=True)
        return self._assembled([self._left_out(rows - mean) for rows, mean in places])

    def score(self, embeddings: Embeddings) -> np.ndarray:
        return self._reduced(self.map(embeddings))

    def score_bank(self) -> np.ndarray:
        """Each clip against the Gaussians of the others."""
        return self._reduced(self.map_bank())

    def _reduced(self, maps: np.ndarray) -> np.ndarray:
        return maps.max((1, 2)) if self.reduce == "max" else maps.mean((1, 2))

    def _places(self, positions: np.ndarray) -> Iterator[np.ndarray]:
        """What each Gaussian is about, one after the other: `[clips, times or 1, channels]`, float64."""
        for band in range(positions.shape[1]):
            rows = positions[:, band].astype(np.float64)
            yield from [rows] if self.share_time else np.split(rows, rows.shape[1], axis=1)

    def _assembled(self, distances: list[np.ndarray]) -> np.ndarray:
        """Distances `[clips, times or 1]` of each Gaussian, in the order of `_places`: `[clips, bands, times]`."""
        stacked = np.stack(distances, 1)
        return stacked.reshape(len(stacked), self._bank.shape[1], self._bank.shape[2])

    def _factor(self, centred: np.ndarray, count: int) -> np.ndarray:
        """L^-1 `[channels, channels]` of the covariance L L^T of `count` rows with these deviations."""
        degrees = max(count - 1, 1)
        covariance = centred.T @ centred / degrees + self.ridge * np.eye(centred.shape[1])
        lower = cholesky(covariance, lower=True)
        return solve_triangular(lower, np.eye(len(lower)), lower=True)

    def _left_out(self, centred: np.ndarray) -> np.ndarray:
        """Distances `[clips, m]` of each clip's rows to the Gaussian of the others (see `map_bank`)."""
        clips, m, channels = centred.shape
        n, rest = clips * m, (clips - 1) * m
        degrees = max(rest - 1, 1)
        flat = centred.reshape(n, channels)
        lower = cholesky(flat.T @ flat + degrees * self.ridge * np.eye(channels), lower=True)
        white = solve_triangular(lower, flat.T, lower=True).T.reshape(clips, m, channels)
        gram = white @ white.transpose(0, 2, 1)
        inner = np.linalg.inv(np.eye(m) - 1 / n - gram)
        squared = degrees * (np.diagonal(inner, axis1=1, axis2=2) - 1 - 1 / rest)
        return np.sqrt(np.maximum(squared, 0))


def _distances(factor: np.ndarray, centred: np.ndarray) -> np.ndarray:
    """Mahalanobis distances `[clips, times]` of deviations `[clips, times, channels]`."""
    return np.linalg.norm(centred @ factor.T, axis=2)


def _positions(embeddings: Embeddings) -> np.ndarray:
    """`[clips, bands, times, channels]`."""
    return need(embeddings, "positions", "padim")


def _grid(positions: np.ndarray) -> str:
    return " x ".join(map(str, positions.shape[1:])) + " (bands x times x channels)"
