"""The six detectors of MobileAnoNet against the golden numbers of its published code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import DATA

from asdcli.detection.bank import Bank
from asdcli.detection.detectors import DETECTORS
from asdcli.recipe.components import Component, build

GOLDEN = np.load(DATA / "losses.npz")


@pytest.mark.parametrize(
    ("params", "golden"),
    [
        ({"name": "knn"}, "det_knn_cos_mean2_paper"),
        ({"name": "knn", "metric": "euclidean", "reduce": "sum"}, "det_knn_euclid_sum2"),
        ({"name": "lof"}, "det_lof_cos4"),
        ({"name": "cosine"}, "det_cos"),
        ({"name": "mahalanobis"}, "det_maha"),
        ({"name": "soft_cosine"}, "det_soft_cos"),
        ({"name": "soft_mahalanobis"}, "det_soft_maha"),
    ],
)
def test_scores_are_the_golden_ones(params: dict[str, Any], golden: str) -> None:
    training = GOLDEN["det_train"].astype(np.float64)
    domain = np.where(GOLDEN["det_train_is_target"], "target", "source")
    detector = build(DETECTORS, "detector", Component.model_validate(params))
    detector.fit(Bank({"embedding": training}, domain, np.full(len(training), "00")))
    np.testing.assert_allclose(detector.score({"embedding": GOLDEN["det_test"]}), GOLDEN[golden], rtol=2e-5, atol=2e-6)
