"""How unlikely a classifier finds it that a clip is of its own section."""

from __future__ import annotations

from typing import Literal

import numpy as np

from asdcli.detection.bank import Bank, Embeddings, need


class ClassLogOdds:
    """Mean over a clip's windows of log((1 - p) / p), with the probability p of the section's class.

    The score of the MobileNetV2 baseline of DCASE 2021 and 2022, whose classes are the sections. Where a section holds
    several classes (of attributes or domains), the one that fits the clip best counts: the smallest of their scores.

    Args:
        bracket: `intended` is the formula above. `published_2021` is log((1 - p) - log p), what the code of 2021
            computes (in 2022 only the threshold still comes from it).
    """

    needs_labels = True

    def __init__(self, *, bracket: Literal["intended", "published_2021"] = "intended") -> None:
        self._name = "log_odds" if bracket == "intended" else "log_odds_2021"

    def fit(self, bank: Bank) -> None:
        bank.refuse_empty("class_log_odds")
        need(bank.embeddings, self._name, "class_log_odds")
        if bank.label is None:
            raise TypeError("class_log_odds was given a bank without labels")
        self._classes = np.unique(bank.label)
        self._own = self.score(bank.embeddings)

    def score(self, embeddings: Embeddings) -> np.ndarray:
        values = need(embeddings, self._name, "class_log_odds")
        return values[:, self._classes].min(1).astype(np.float64)

    def score_bank(self) -> np.ndarray:
        """The bank's plain scores: nothing is learnt from it but which classes it holds."""
        return self._own
