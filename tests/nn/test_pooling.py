"""Attentive statistics pooling against the formula and the published size."""

from __future__ import annotations

import torch

from asdcli.nn.pooling import POOLINGS, AttentiveStatisticsPooling


def test_it_has_its_size() -> None:
    pooling = AttentiveStatisticsPooling(768)
    assert sum(parameter.numel() for parameter in pooling.parameters()) == 197_760


def test_without_attention_it_is_mean_and_deviation() -> None:
    pooling = AttentiveStatisticsPooling(6).eval()
    torch.nn.init.zeros_(pooling.attention[-1].weight)  # type: ignore[arg-type]
    x = torch.randn(3, 10, 6)
    expected = torch.cat([x.mean(1), x.std(1, correction=0)], 1)
    torch.testing.assert_close(pooling(x), expected)


def test_it_is_the_weighted_statistics_of_the_formula() -> None:
    pooling, x = AttentiveStatisticsPooling(6, bottleneck=4).double().eval(), torch.randn(3, 10, 6).double()
    first, norm, last = (pooling.attention[index] for index in (0, 2, 4))
    hidden = (x @ first.weight[:, :, 0].T + first.bias).relu() / (1 + norm.eps) ** 0.5
    weight = (hidden.tanh() @ last.weight[:, :, 0].T + last.bias).exp()
    weight = weight / weight.sum(1, keepdim=True)
    mean = (weight * x).sum(1)
    deviation = ((weight * x.square()).sum(1) - mean.square()).sqrt()
    torch.testing.assert_close(pooling(x), torch.cat([mean, deviation], 1))


def test_equal_tokens_have_finite_gradients() -> None:
    for kind in POOLINGS.values():
        x = torch.ones(2, 5, 6, requires_grad=True)
        kind(6)(x).sum().backward()
        assert x.grad is not None
        assert x.grad.isfinite().all()
