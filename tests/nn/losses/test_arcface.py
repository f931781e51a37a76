"""ArcFace against the golden numbers of the reference implementation, and where its formula turns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers import DATA

from asdcli.nn.losses.arcface import ArcFace

GOLDEN = np.load(DATA / "losses.npz")
MARGINS = [0.05, 0.5, 0.2]


def golden(name: str) -> torch.Tensor:
    return torch.from_numpy(GOLDEN[name])


def arcface(margin: float, **params: object) -> ArcFace:
    made = ArcFace(16, 5, scale=30.0, margin_rad=margin, **params)  # type: ignore[arg-type]
    made.weight.data = golden("W").clone()
    return made


@pytest.mark.parametrize("margin", MARGINS)
def test_loss_and_gradients_are_the_golden_ones(margin: float) -> None:
    loss, x = arcface(margin), golden("x").requires_grad_()
    value = loss(x, golden("y"))
    value.backward()
    assert loss.weight.grad is not None
    torch.testing.assert_close(value, golden(f"arc_s30_m{margin}_loss"), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(x.grad, golden(f"arc_s30_m{margin}_grad_x"), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss.weight.grad, golden(f"arc_s30_m{margin}_grad_W"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mixed", ["two_label", "soft_label"])
@pytest.mark.parametrize("margin", MARGINS)
def test_the_loss_of_mixed_examples_is_the_golden_one(margin: float, mixed: str) -> None:
    share, other = golden("lam")[:, None], golden("perm")
    x = share * golden("x") + (1 - share) * golden("x")[other]
    value = arcface(margin, mixed=mixed)(x, golden("y"), golden("y")[other], 1 - golden("lam"))
    torch.testing.assert_close(value, golden(f"arc_s30_m{margin}_mix_{mixed}_loss"), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mixed", ["two_label", "soft_label"])
def test_nothing_mixed_in_is_the_plain_loss(mixed: str) -> None:
    loss, y = arcface(0.2, mixed=mixed), golden("y")
    torch.testing.assert_close(loss(golden("x"), y, y.flip(0), torch.zeros(8)), loss(golden("x"), y))


def test_gradients_stay_finite_on_and_against_the_class_weight() -> None:
    loss = ArcFace(4, 2)
    x = torch.stack([loss.weight[0], -loss.weight[0]]).detach().requires_grad_()
    loss(x, torch.tensor([0, 0])).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_the_own_logit_falls_with_the_angle_everywhere() -> None:
    loss = ArcFace(2, 2, margin_rad=0.5)
    loss.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    angle = torch.linspace(0.01, math.pi - 0.01, 200)
    logits = loss.logits(torch.stack([angle.cos(), angle.sin()], 1), torch.tensor([[1.0, 0.0]]))[:, 0]
    assert (logits.diff() < 0).all()


def test_the_nearest_centre_of_a_class_counts() -> None:
    loss = ArcFace(2, 2, centres=2)
    loss.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    cosines = loss.cosines(torch.tensor([[0.0, 3.0], [-2.0, 0.0]]))
    torch.testing.assert_close(cosines, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))


@pytest.mark.parametrize("params", [{"scale": 0.0}, {"margin_rad": 4.0}, {"margin_rad": -0.1}, {"centres": 0}])
def test_impossible_settings(params: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ArcFace(4, 2, **params)  # type: ignore[arg-type]
