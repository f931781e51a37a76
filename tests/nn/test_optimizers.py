"""Every registered optimiser moves weights downhill, keeps what the recipe sets, and goes on from its state."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import pytest
import torch
from torch import nn

from asdcli.errors import UserError
from asdcli.nn.optimizers import OPTIMIZERS
from asdcli.recipe.components import Component, build


def component(name: str, **params: Any) -> Component:
    """With a learning rate of 0.05, which not every optimiser has a default for."""
    return Component.model_validate({"name": name, "lr": 0.05, **params})


def step(optimizer: torch.optim.Optimizer, weight: nn.Parameter) -> float:
    loss = (weight - torch.tensor([1.0, -2.0])).square().sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_finds_a_minimum(name: str) -> None:
    weight = nn.Parameter(torch.zeros(2))
    optimizer = build(OPTIMIZERS, "optimizer", component(name), [weight])
    losses = [step(optimizer, weight) for _ in range(200)]
    assert losses[-1] < 0.01 * losses[0]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_goes_on_from_its_state(name: str) -> None:
    weight = nn.Parameter(torch.zeros(2))
    optimizer = build(OPTIMIZERS, "optimizer", component(name), [weight])
    for _ in range(3):
        step(optimizer, weight)
    state, other = copy.deepcopy(optimizer.state_dict()), nn.Parameter(weight.detach().clone())
    resumed = build(OPTIMIZERS, "optimizer", component(name, lr=0.9), [other])
    resumed.load_state_dict(state)
    for _ in range(3):
        step(optimizer, weight)
        step(resumed, other)
    assert torch.equal(weight, other)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_the_recipe_sets_arrives(name: str) -> None:
    parameters = inspect.signature(OPTIMIZERS[name]).parameters.values()
    chosen = {p.name: 0.125 for p in parameters if p.kind is p.KEYWORD_ONLY and p.annotation == "float"}
    optimizer = build(OPTIMIZERS, "optimizer", component(name, **chosen), [nn.Parameter(torch.zeros(1))])
    (group,) = optimizer.param_groups
    arrived = {"beta1": group.get("betas", [None])[0], "beta2": group.get("betas", [None, None])[1], **group}
    assert {key: arrived[key] for key in chosen} == chosen


def test_adam_has_the_defaults_of_its_paper() -> None:
    (group,) = build(OPTIMIZERS, "optimizer", Component(name="adam"), [nn.Parameter(torch.zeros(1))]).param_groups
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (1e-3, (0.9, 0.999), 1e-8, 0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_impossible_rate_is_the_users_error(name: str) -> None:
    with pytest.raises(UserError, match=f"optimizer {name}: .*-1"):
        build(OPTIMIZERS, "optimizer", component(name, lr=-1), [nn.Parameter(torch.zeros(1))])
