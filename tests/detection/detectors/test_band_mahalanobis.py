"""One Gaussian per band, against scikit-learn band by band."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from asdcli.detection.bank import Bank
from asdcli.detection.detectors.band_mahalanobis import BandMahalanobis


@pytest.mark.parametrize("squared", [False, True])
def test_it_is_the_mean_over_bands_of_distances_of_means_over_time(squared: bool) -> None:
    training, test = (np.random.default_rng(seed).standard_normal((n, 3, 5, 4)) for seed, n in ((0, 40), (1, 6)))
    detector = BandMahalanobis(squared=squared)
    detector.fit(Bank({"positions": training}, np.full(40, "source"), np.full(40, "00")))
    squares = [LedoitWolf().fit(training[:, b].mean(1)).mahalanobis(test[:, b].mean(1)) for b in range(3)]
    expected = np.mean(squares if squared else np.sqrt(squares), axis=0)
    np.testing.assert_allclose(detector.score({"positions": test}), expected, rtol=1e-6)


def test_an_anomaly_of_one_band_is_heard() -> None:
    clips = np.random.default_rng(0).standard_normal((60, 16, 5, 4)).astype(np.float32)
    clips[50:, 7] += 3
    detector = BandMahalanobis()
    detector.fit(Bank({"positions": clips[:40]}, np.full(40, "source"), np.full(40, "00")))
    scores = detector.score({"positions": clips[40:]})
    assert scores[:10].max() < scores[10:].min()
