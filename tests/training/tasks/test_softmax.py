"""The softmax classifier: its loss, and the two scores of a clip against the plain formulas."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
import toys
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from asdcli.errors import UserError
from asdcli.recipe.components import Component, build
from asdcli.training.labels import CLASS
from asdcli.training.seeds import generator
from asdcli.training.tasks import TASKS
from asdcli.training.tasks.softmax import SoftmaxClassification, log_odds, log_odds_2021
from asdcli.training.views.frame_windows import FrameWindows
from asdcli.training.views.view import Batch

EPSILON = 2.220446049250313e-16

logits = st.lists(st.floats(-60, 60, width=32), min_size=2, max_size=6)


class Mean(nn.Module):
    """Mean of the frames: the smallest backbone."""

    embedding_size = toys.FEATURES

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


def task(view: object) -> SoftmaxClassification:
    torch.manual_seed(0)
    made: SoftmaxClassification = build(TASKS, "task", Component(name="softmax"), Mean(), view)
    return made


def labelled(frames: list[int] | None = None) -> FrameWindows:
    return toys.view(toys.clips(frames or [6] * 8, sections=("00", "01")), labelled=True)


def probabilities(values: list[float]) -> list[tuple[Decimal, Decimal]]:
    """p and 1 - p of each class, exactly, where floating point would cancel."""
    powers = [Decimal(value).exp() for value in values]
    return [(power / sum(powers), (sum(powers) - power) / sum(powers)) for power in powers]


@given(logits)
def test_log_odds_are_the_plain_formula(values: list[float]) -> None:
    with localcontext(prec=80):
        floor = Decimal(EPSILON)
        expected = [float((max(q, floor)).ln() - max(p, floor).ln()) for p, q in probabilities(values)]
    np.testing.assert_allclose(log_odds(torch.tensor(values)).numpy(), expected, rtol=1e-9, atol=1e-9)


@given(logits)
def test_the_misplaced_bracket_is_the_plain_formula(values: list[float]) -> None:
    with localcontext(prec=80):
        floor = Decimal(EPSILON)
        expected = [float((max(q, floor) - max(p, floor).ln()).ln()) for p, q in probabilities(values)]
    np.testing.assert_allclose(log_odds_2021(torch.tensor(values)).numpy(), expected, rtol=1e-9, atol=1e-9)


def test_the_formulas_in_numpy_as_they_are_published() -> None:
    values = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    p = values.double().softmax(-1).numpy()
    intended = np.log(np.maximum(1.0 - p, EPSILON)) - np.log(np.maximum(p, EPSILON))
    misplaced = np.log(np.maximum(1.0 - p, EPSILON) - np.log(np.maximum(p, EPSILON)))
    np.testing.assert_allclose(log_odds(values).numpy(), intended, rtol=1e-10)
    np.testing.assert_allclose(log_odds_2021(values).numpy(), misplaced, rtol=1e-10)


@given(logits, st.integers(0, 5), st.floats(0.01, 20))
def test_a_less_likely_class_is_more_anomalous(values: list[float], number: int, more: float) -> None:
    row = torch.tensor(values, dtype=torch.float64)
    up = row.clone()
    up[number % len(values)] += more
    for score in (log_odds, log_odds_2021):
        assert score(up)[number % len(values)] <= score(row)[number % len(values)]
        assert score(up).isfinite().all()


def test_examples_carry_the_classes_that_the_loss_is_about() -> None:
    view = labelled()
    batch = view.batch(torch.arange(len(view.clip)), generator("test"))
    assert batch.label.tolist() == [clip % 2 for clip in batch.clip.tolist()]
    made = task(view)
    losses = made(batch, generator("test"))
    scores = made.head(batch.x.mean(1)).log_softmax(1)
    expected = -scores[torch.arange(len(scores)), batch.label].mean()
    torch.testing.assert_close(losses["loss"], expected)
    assert losses["accuracy"].item() == pytest.approx((scores.argmax(1) == batch.label).float().mean().item())


def test_a_mixed_example_counts_for_both_its_classes() -> None:
    made = task(labelled())
    x, label, other = torch.randn(5, 2, toys.FEATURES), torch.tensor([0, 1, 0, 1, 0]), torch.tensor([1, 0, 1, 0, 1])
    rate = torch.tensor([0.0, 1.0, 0.5, 0.25, 0.4])

    def loss(row: int, to: Tensor) -> float:
        return made(Batch({"x": x[row : row + 1]}, torch.zeros(1), {CLASS: to[row : row + 1]}), generator("test"))[
            "loss"
        ].item()

    shares = rate.tolist()
    expected = np.mean([(1 - r) * loss(row, label) + r * loss(row, other) for row, r in enumerate(shares)])
    mixed = made(Batch({"x": x}, torch.zeros(5), {CLASS: label}, toys.mixed(other, rate)), generator("test"))
    assert mixed["loss"].item() == pytest.approx(expected, rel=1e-5)


def test_a_clip_has_the_mean_score_of_its_windows_for_each_class() -> None:
    view = labelled([6, 30] * 4)
    made = task(view).eval()
    for row in range(2):
        windows = view.clip_examples(row)
        with torch.no_grad():
            found, scores = toys.embedded(made, windows), made.head(windows.mean(1))
        assert found.keys() == {"log_odds", "log_odds_2021"}
        np.testing.assert_allclose(found["log_odds"], log_odds(scores).numpy().mean(0))
        np.testing.assert_allclose(found["log_odds_2021"], log_odds_2021(scores).numpy().mean(0))


@pytest.mark.parametrize("name", ["softmax", "arcface"])
def test_a_view_without_classes_is_the_users_error(name: str) -> None:
    with pytest.raises(UserError, match=f"task {name}: the view has no classes .* labelled: true"):
        build(TASKS, "task", Component(name=name), Mean(), toys.view())
