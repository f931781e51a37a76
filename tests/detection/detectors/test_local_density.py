"""Local density normalisation, against its formula clip by clip."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asdcli.detection.bank import Bank
from asdcli.detection.detectors.knn import Knn
from asdcli.detection.detectors.local_density import LocalDensity, SoftLocalDensity


def vectors(clips: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((clips, 4))


def fitted(detector: Any, values: np.ndarray, domain: np.ndarray | None = None) -> Any:
    domain = np.full(len(values), "source") if domain is None else domain
    detector.fit(Bank({"embedding": values}, domain, np.full(len(values), "00")))
    return detector


def distance(x: np.ndarray, y: np.ndarray, metric: str) -> float:
    if metric == "euclidean":
        return float(np.linalg.norm(x - y))
    return 1 - float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def by_hand(x: np.ndarray, bank: np.ndarray, metric: str, form: str, k: int, total: bool = False) -> float:
    scores = []
    for number, y in enumerate(bank):
        others = sorted(distance(y, z, metric) for other, z in enumerate(bank) if other != number)[:k]
        density = sum(others) if total else sum(others) / len(others)
        far = distance(x, y, metric)
        scores.append(far / density if form == "ratio" else far - density)
    return min(scores)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("form", ["ratio", "difference"])
@given(clips=st.integers(3, 9), k=st.integers(1, 4), seed=st.integers(0, 100))
def test_it_is_the_formula(metric: Any, form: Any, clips: int, k: int, seed: int) -> None:
    bank, test = vectors(clips, seed), vectors(3, seed + 1)
    detector = fitted(LocalDensity(metric=metric, form=form, neighbours=k), bank)
    expected = [by_hand(x, bank, metric, form, k) for x in test]
    np.testing.assert_allclose(detector.score({"embedding": test}), expected, rtol=1e-9, atol=1e-12)
    own = [by_hand(bank[i], np.delete(bank, i, 0), metric, form, k) for i in range(clips)]
    np.testing.assert_allclose(detector.score_bank(), own, rtol=1e-9, atol=1e-12)


def test_each_domain_has_its_own_number_of_neighbours() -> None:
    bank, test, domain = vectors(12), vectors(3, 1), np.repeat(["source", "target"], [7, 5])
    detector = fitted(SoftLocalDensity(neighbours=4, target_neighbours=2), bank, domain)
    parts = ((bank[:7], 4), (bank[7:], 2))
    expected = [min(by_hand(x, part, "euclidean", "ratio", k, total=True) for part, k in parts) for x in test]
    np.testing.assert_allclose(detector.score({"embedding": test}), expected)
    alone = fitted(SoftLocalDensity(neighbours=4, target_neighbours=2), bank[7:], domain[7:])
    np.testing.assert_allclose(
        alone.score({"embedding": test}), [by_hand(x, bank[7:], "euclidean", "ratio", 2, total=True) for x in test]
    )


def test_scattered_clips_do_not_look_anomalous() -> None:
    """Ten target clips far apart beside many source clips close together; new ones of both, and an odd one between."""
    rng = np.random.default_rng(0)
    near, far = (lambda n: 0.1 * rng.standard_normal((n, 4))), (lambda n: 9 + rng.standard_normal((n, 4)))
    bank = np.concatenate([near(100), far(10)])
    plain = fitted(Knn(metric="euclidean", neighbours=1), bank)
    local = fitted(LocalDensity(metric="euclidean"), bank)
    normal, odd = {"embedding": far(50)}, {"embedding": near(50) + 0.5}
    assert np.median(plain.score(normal)) > np.median(plain.score(odd))
    assert np.median(local.score(normal)) < np.median(local.score(odd))


def test_large_banks_are_compared_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    bank, test = vectors(30), {"embedding": vectors(20, 1)}
    whole = fitted(LocalDensity(neighbours=3), bank)
    monkeypatch.setattr("asdcli.detection.detectors.local_density.BLOCK_BYTES", 8 * 30 * 7)
    blocks = fitted(LocalDensity(neighbours=3), bank)
    np.testing.assert_array_equal(blocks.score(test), whole.score(test))
    np.testing.assert_array_equal(blocks.score_bank(), whole.score_bank())
