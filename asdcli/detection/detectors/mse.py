"""Reconstruction error as the anomaly score."""

from __future__ import annotations

import numpy as np

from asdcli.detection.bank import Bank, Embeddings, need, packed_trace_weights, symmetric_size


class MeanSquaredError:
    """Mean squared residual over all windows, frames and features of a clip (the 'simple' mode of the DCASE baseline).

    Nothing is learned from the bank: a training clip's own score is what the trained network leaves of it.
    """

    def fit(self, bank: Bank) -> None:
        bank.refuse_empty("mse")
        self._own = self.score(bank.embeddings)

    def score(self, embeddings: Embeddings) -> np.ndarray:
        moment = need(embeddings, "residual_moment", "mse")
        n = symmetric_size(moment.shape[1])
        return moment.astype(np.float64) @ packed_trace_weights(np.eye(n) / n)

    def score_bank(self) -> np.ndarray:
        return self._own
