"""Attentive statistics pooling against the formula and the published size; poolings of pieces against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from asdcli.errors import UserError
from asdcli.nn.pooling import CLIP_POOLINGS, POOLINGS, AttentiveStatisticsPooling, generalised_mean, quantile
from asdcli.recipe.components import Component, build


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


@pytest.mark.parametrize("name", CLIP_POOLINGS)
def test_one_piece_and_equal_pieces_are_their_own_pooling(name: str) -> None:
    pool, piece = build(CLIP_POOLINGS, "pooling", Component(name=name)), torch.randn(1, 6)
    torch.testing.assert_close(pool(piece), piece[0])
    torch.testing.assert_close(pool(piece.expand(4, 6)), piece[0])
    torch.testing.assert_close(pool(torch.zeros(4, 6)), torch.zeros(6))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_the_quantile_is_numpys(share: float) -> None:
    values = torch.randn(11, 6)
    np.testing.assert_allclose(quantile(quantile=share)(values), np.quantile(values, share, 0), rtol=1e-5)


def test_several_quantiles_are_one_after_the_other() -> None:
    values = torch.randn(11, 6)
    pooled = build(CLIP_POOLINGS, "pooling", Component.model_validate({"name": "quantile", "quantile": [0.1, 0.5]}))
    np.testing.assert_allclose(pooled(values), np.quantile(values, [0.1, 0.5], 0).reshape(-1), rtol=1e-5)


def test_the_generalised_mean_lies_between_mean_and_maximum() -> None:
    values = torch.rand(11, 6)
    torch.testing.assert_close(generalised_mean(p=1)(values), values.mean(0))
    torch.testing.assert_close(generalised_mean(p=3)(values), values.pow(3).mean(0).pow(1 / 3))
    torch.testing.assert_close(generalised_mean(p=2000)(values), values.amax(0), rtol=2e-3, atol=0)
    signed = torch.randn(11, 6).double()
    cubes = signed.pow(3).mean(0)
    torch.testing.assert_close(generalised_mean(p=3)(signed), torch.from_numpy(np.cbrt(cubes.numpy())))


@pytest.mark.parametrize(
    ("name", "params"),
    [("quantile", {"quantile": 1.5}), ("quantile", {"quantile": []}), ("generalised_mean", {"p": 0.0})],
)
def test_what_cannot_be_is_the_users_error(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"pooling {name}: "):
        build(CLIP_POOLINGS, "pooling", Component.model_validate({"name": name, **params}))
