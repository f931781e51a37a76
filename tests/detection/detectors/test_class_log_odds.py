"""The score of the bank's class, or of the best of its classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asdcli.detection.bank import Bank
from asdcli.detection.detectors import DETECTORS
from asdcli.errors import UserError
from asdcli.recipe.components import Component, build


def embeddings(clips: int, classes: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal((clips, classes)).astype(np.float32) for name in ("log_odds", "log_odds_2021")}


def fitted(label: list[int], classes: int, **params: Any) -> Any:
    detector = build(DETECTORS, "detector", Component.model_validate({"name": "class_log_odds", **params}))
    count = len(label)
    bank = Bank(embeddings(count, classes), np.full(count, "source"), np.full(count, "00"), np.array(label))
    detector.fit(bank)
    return detector


@pytest.mark.parametrize(
    ("params", "name"),
    [({}, "log_odds"), ({"bracket": "intended"}, "log_odds"), ({"bracket": "published_2021"}, "log_odds_2021")],
)
def test_the_score_is_that_of_the_banks_class(params: dict[str, str], name: str) -> None:
    clips = embeddings(6, 4, seed=1)
    for number in range(4):
        detector = fitted([number] * 3, 4, **params)
        np.testing.assert_array_equal(detector.score(clips), clips[name][:, number])
        np.testing.assert_array_equal(detector.score_bank(), embeddings(3, 4)[name][:, number])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_of_several_classes_the_one_that_fits_best(label: list[int]) -> None:
    clips = embeddings(9, 5, seed=2)
    expected = [min(row[number] for number in label) for row in clips["log_odds"]]
    np.testing.assert_allclose(fitted(label, 5).score(clips), expected)


def test_a_bank_without_labels_is_a_mistake_of_the_program() -> None:
    detector = build(DETECTORS, "detector", Component(name="class_log_odds"))
    with pytest.raises(TypeError, match="without labels"):
        detector.fit(Bank(embeddings(2, 3), np.full(2, "source"), np.full(2, "00")))


def test_another_bracket_is_refused() -> None:
    with pytest.raises(UserError, match="'2022' is not possible here"):
        fitted([0], 2, bracket="2022")
