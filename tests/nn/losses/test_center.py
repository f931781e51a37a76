"""Center loss against the golden numbers of the reference implementation."""

from __future__ import annotations

import numpy as np
import torch
from helpers import DATA
from torch.nn import functional as F

from asdcli.nn.losses.center import CenterLoss

GOLDEN = {name: torch.from_numpy(values) for name, values in np.load(DATA / "losses.npz").items()}


def test_loss_and_gradients_are_the_golden_ones() -> None:
    """With a linear head's cross-entropy, weighted 0.2, as MobileAnoNet has it."""
    x, label = GOLDEN["x"].requires_grad_(), GOLDEN["y"].long()
    center = CenterLoss(16, 5)
    center.centres.data = GOLDEN["center_centers"].clone()
    alone = center(x, label)
    entropy = F.cross_entropy(F.linear(x, GOLDEN["center_lin_w"], GOLDEN["center_lin_b"]), label)
    torch.testing.assert_close(alone, GOLDEN["center_only"])
    torch.testing.assert_close(entropy, GOLDEN["center_ce"])
    total = entropy + 0.2 * alone
    torch.testing.assert_close(total, GOLDEN["center_total_l02"])
    total.backward()
    torch.testing.assert_close(x.grad, GOLDEN["center_grad_x"])
    torch.testing.assert_close(center.centres.grad, GOLDEN["center_grad_centers"])


def test_examples_of_no_class_do_not_count() -> None:
    x, center = torch.randn(4, 3), CenterLoss(3, 2)
    label = torch.tensor([0, -1, 1, -1])
    torch.testing.assert_close(center(x, label), center(x[::2], label[::2]))
    assert center(x, torch.full((4,), -1)) == 0
