"""Recomputed blocks against plain ones: values, gradients, running averages; and the memory they save."""

from __future__ import annotations

import copy

import torch
from helpers import kept_for_backward
from torch import nn

from asdcli.nn.backbones.mobilenet_encoder import MobileNetV2Encoder
from asdcli.nn.recompute import recomputed


def block() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 2, 3))


def test_gradients_draws_and_running_averages_are_those_of_the_plain_block() -> None:
    plain, other = block(), block()
    x = torch.randn(6, 2, 9, 9)
    for made, compute in ((plain, plain), (other, lambda x: recomputed(other, x))):
        torch.manual_seed(1)
        compute(x.clone().requires_grad_()).square().sum().backward()
        torch.testing.assert_close(dict(made.state_dict()), dict(plain.state_dict()), rtol=0, atol=0)
    for one, same in zip(plain.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, same.grad, rtol=1e-6, atol=1e-7)
    assert plain[1].num_batches_tracked == 1
    assert (other[1].momentum, other[1].num_batches_tracked) == (0.1, 1)


class Counting(nn.Module):
    """Counts its forward passes in a buffer, and is no batch norm."""

    calls: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x.square()


def test_every_buffer_moves_once_and_stays_itself() -> None:
    made = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), Counting())
    before = list(made.buffers())
    for _ in range(2):
        recomputed(made, torch.randn(5, 3)).sum().backward()
    assert (made[1].num_batches_tracked, made[2].calls) == (2, 2)
    assert all(one is other for one, other in zip(made.buffers(), before, strict=True))


def test_the_encoder_has_the_same_gradients_recomputed() -> None:
    torch.manual_seed(0)
    plain = MobileNetV2Encoder((64, 32)).train()
    again = copy.deepcopy(plain)
    again.recompute = True
    x = torch.randn(8, 64, 32)
    ours, theirs = (model(x).square().mean() for model in (again, plain))
    assert torch.equal(ours, theirs)
    ours.backward(), theirs.backward()
    largest = max(float(weight.grad.abs().max()) for weight in plain.parameters() if weight.grad is not None)
    for one, other in zip(again.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-6 * largest)
    torch.testing.assert_close(dict(again.named_buffers()), dict(plain.named_buffers()), rtol=0, atol=0)


def test_of_a_forward_pass_little_is_kept() -> None:
    x = torch.randn(4, 128, 64)
    plain, less = (kept_for_backward(MobileNetV2Encoder((128, 64), recompute=r).train(), x) for r in (False, True))
    assert less < plain / 5


def test_sizes_of_both_readings() -> None:
    for closing, expected in (("full", 1_454_720), ("depthwise", 638_080)):
        with torch.device("meta"):
            model = MobileNetV2Encoder((128, 64), closing=closing)  # type: ignore[arg-type]
        assert sum(weight.numel() for weight in model.parameters()) == expected
