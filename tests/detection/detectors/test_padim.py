"""A Gaussian per place, against the plainest way to compute it and against scikit-learn; one left out exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import EmpiricalCovariance

from asdcli.detection.bank import Bank
from asdcli.detection.detectors import DETECTORS
from asdcli.detection.detectors.padim import Padim
from asdcli.errors import UserError
from asdcli.recipe.components import Component, build

BANDS, TIMES, CHANNELS = 3, 4, 5


def positions(clips: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """Correlated channels whose mean and spread differ from place to place."""
    rng = np.random.default_rng(seed)
    places = np.random.default_rng(99)
    spread = places.uniform(0.5, 2.0, (BANDS, TIMES, CHANNELS, CHANNELS))
    values = np.einsum("nbtc,btcd->nbtd", rng.standard_normal((clips, BANDS, TIMES, CHANNELS)), spread)
    return (scale * (values + places.standard_normal((BANDS, TIMES, CHANNELS)))).astype(np.float32)


def fitted(values: np.ndarray, **params: object) -> Padim:
    detector = build(DETECTORS, "detector", Component.model_validate({"name": "padim", **params}))
    assert isinstance(detector, Padim)
    detector.fit(Bank({"positions": values}, np.full(len(values), "source"), np.full(len(values), "00")))
    return detector


def plain_map(bank: np.ndarray, clip: np.ndarray, ridge: float, share_time: bool) -> np.ndarray:
    """Equations 1 and 2 of the paper, place by place."""
    found = np.empty((BANDS, TIMES))
    for band, time in np.ndindex(BANDS, TIMES):
        rows = (bank[:, band].reshape(-1, CHANNELS) if share_time else bank[:, band, time]).astype(np.float64)
        mean = rows.mean(0)
        spread = sum(np.outer(row - mean, row - mean) for row in rows) / max(len(rows) - 1, 1) + ridge * np.eye(
            CHANNELS
        )
        away = clip[band, time].astype(np.float64) - mean
        found[band, time] = np.sqrt(away @ np.linalg.inv(spread) @ away)
    return found


@pytest.mark.parametrize("share_time", [False, True])
@pytest.mark.parametrize("clips", [1, 2, 4, 30])
def test_the_map_is_the_papers(clips: int, share_time: bool) -> None:
    bank, test = positions(clips), positions(3, seed=1)
    found = fitted(bank, ridge=0.1, share_time=share_time).map({"positions": test})
    assert found.dtype == np.float64
    expected = [plain_map(bank, clip, 0.1, share_time) for clip in test]
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_without_a_ridge_it_is_scikit_learns_mahalanobis_distance() -> None:
    bank, test = positions(50), positions(6, seed=1)
    found = fitted(bank, ridge=1e-12).map({"positions": test})
    for band, time in np.ndindex(BANDS, TIMES):
        reference = EmpiricalCovariance().fit(bank[:, band, time].astype(np.float64))
        squared = reference.mahalanobis(test[:, band, time].astype(np.float64)) * 49 / 50  # it divides by n
        np.testing.assert_allclose(found[:, band, time], np.sqrt(squared), rtol=1e-6)


@given(
    clips=st.integers(2, 12),
    share_time=st.booleans(),
    ridge=st.floats(1e-4, 10),
    scale=st.floats(0.01, 100),
    seed=st.integers(0, 1000),
)
def test_leaving_one_out_is_exact(clips: int, share_time: bool, ridge: float, scale: float, seed: int) -> None:
    bank = positions(clips, seed, scale)
    expected = []
    for clip in range(clips):
        rest = fitted(np.delete(bank, clip, axis=0), ridge=ridge, share_time=share_time)
        expected.append(rest.map({"positions": bank[clip : clip + 1]})[0])
    found = fitted(bank, ridge=ridge, share_time=share_time).map_bank()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("share_time", [False, True])
def test_leaving_one_out_is_exact_with_more_channels_than_clips(share_time: bool) -> None:
    rng = np.random.default_rng(0)
    bank = (3 * rng.standard_normal((10, 2, 3, 60))).astype(np.float32)
    rest = fitted(bank[1:], share_time=share_time)
    found = fitted(bank, share_time=share_time).map_bank()[0]
    np.testing.assert_allclose(found, rest.map({"positions": bank[:1]})[0], rtol=1e-9)


def test_a_bank_of_one_clip_is_its_own_mean() -> None:
    detector = fitted(positions(1))
    np.testing.assert_array_equal(detector.map_bank(), np.zeros((1, BANDS, TIMES)))


@pytest.mark.parametrize(("reduce", "expected"), [("max", np.max), ("mean", np.mean)])
def test_a_score_is_the_maps_largest_or_mean_distance(reduce: str, expected: object) -> None:
    bank, test = positions(20), {"positions": positions(4, seed=1)}
    detector = fitted(bank, reduce=reduce)
    np.testing.assert_allclose(detector.score(test), [expected(each) for each in detector.map(test)])  # type: ignore[operator]
    np.testing.assert_allclose(detector.score_bank(), [expected(each) for each in detector.map_bank()])  # type: ignore[operator]


def test_a_change_shows_at_its_place_and_nowhere_else() -> None:
    bank, test = positions(40), positions(1, seed=1)
    changed = test.copy()
    changed[0, 1, 2] += 20
    for share_time in (False, True):
        detector = fitted(bank, share_time=share_time)
        before, after = detector.map({"positions": test})[0], detector.map({"positions": changed})[0]
        assert np.argwhere(after != before).tolist() == [[1, 2]]
        assert np.unravel_index(after.argmax(), after.shape) == (1, 2)


def test_shared_time_does_not_know_when() -> None:
    bank, test = positions(20), positions(2, seed=1)
    order = [2, 0, 3, 1]
    moved = {"positions": test[:, :, order]}
    shared, own = fitted(bank, share_time=True), fitted(bank)
    np.testing.assert_allclose(shared.map(moved), shared.map({"positions": test})[:, :, order], rtol=1e-12)
    assert not np.allclose(own.map(moved), own.map({"positions": test})[:, :, order])


def test_another_grid_is_the_users_error() -> None:
    with pytest.raises(UserError, match=r"learned a grid of 3 x 4 x 5 .*, but these clips have 3 x 2 x 5"):
        fitted(positions(5)).map({"positions": positions(2)[:, :, :2]})


def test_without_a_ridge_it_says_so() -> None:
    with pytest.raises(UserError, match="ridge is 0"):
        fitted(positions(2), ridge=0)
