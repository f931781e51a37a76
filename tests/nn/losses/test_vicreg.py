"""VICReg's terms and the mixed-label divergence against golden numbers of reference implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import DATA
from torch.nn import functional as F

from asdcli.nn.losses.vicreg import covariance_loss, mixture_distance, variance_loss

GOLDEN = {name: torch.from_numpy(np.asarray(values)) for name, values in np.load(DATA / "losses.npz").items()}
Z, OTHER, MIXED = (GOLDEN[f"vic_{name}"] for name in ("Z", "Z2", "Zmix"))
RATE = 1 - GOLDEN["vic_lam"][:, 0]


def test_variance_and_covariance() -> None:
    for embeddings, name in ((Z, "Z"), (OTHER, "Z2")):
        torch.testing.assert_close(variance_loss(embeddings), GOLDEN[f"vic_var_{name}"])
        torch.testing.assert_close(covariance_loss(embeddings), GOLDEN[f"vic_cov_{name}"])


def test_distance_in_both_readings_of_equation_1() -> None:
    torch.testing.assert_close(mixture_distance(MIXED, Z, OTHER, RATE), GOLDEN["dgmix_tri_mse"])
    torch.testing.assert_close(mixture_distance(MIXED, Z, OTHER, RATE, reduction="sum"), GOLDEN["dgmix_tri_sum"])


def test_equation_5_as_printed() -> None:
    distance = mixture_distance(MIXED, Z, OTHER, RATE, reduction="sum")
    total = 25 * distance + 25 * (variance_loss(Z) + variance_loss(OTHER)) + covariance_loss(Z) + covariance_loss(OTHER)
    torch.testing.assert_close(total, GOLDEN["dgmix_loss_eq5"])


def test_kullback_leibler_divergence_of_mixed_labels() -> None:
    found = F.kl_div(GOLDEN["kl_logits"].log_softmax(1), GOLDEN["kl_target"], reduction="batchmean")
    torch.testing.assert_close(found, GOLDEN["kl_batchmean"])


@pytest.mark.parametrize("loss", [variance_loss, covariance_loss])
def test_half_precision_loses_nothing_on_the_way(loss: object) -> None:
    half = (100 + 0.5 * Z).bfloat16()
    torch.testing.assert_close(loss(half), loss(half.float()))  # type: ignore[operator]


def test_a_batch_that_is_one_point() -> None:
    point = torch.ones(5, 4, requires_grad=True)
    loss = variance_loss(point)
    assert loss.item() == pytest.approx(0.99)
    loss.backward()
    assert point.grad is not None
    assert point.grad.isfinite().all()
