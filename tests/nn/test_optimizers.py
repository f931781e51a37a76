"""Every registered optimiser moves weights downhill, keeps what the recipe sets, and goes on from its state."""

from __future__ import annotations

import copy
import inspect
import re
from typing import Any

import numpy as np
import pytest
import torch
from helpers import DATA
from torch import nn

from asdcli.errors import UserError
from asdcli.nn.optimizers import OPTIMIZERS
from asdcli.recipe.components import Component, build

GOLDEN = np.load(DATA / "losses.npz")


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
    optimizer = build(OPTIMIZERS, "optimizer", component(name), [("weight", weight)])
    losses = [step(optimizer, weight) for _ in range(200)]
    assert losses[-1] < 0.01 * losses[0]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_goes_on_from_its_state(name: str) -> None:
    weight = nn.Parameter(torch.zeros(2))
    optimizer = build(OPTIMIZERS, "optimizer", component(name), [("weight", weight)])
    for _ in range(3):
        step(optimizer, weight)
    state, other = copy.deepcopy(optimizer.state_dict()), nn.Parameter(weight.detach().clone())
    resumed = build(OPTIMIZERS, "optimizer", component(name, lr=0.9), [("weight", other)])
    resumed.load_state_dict(state)
    for _ in range(3):
        step(optimizer, weight)
        step(resumed, other)
    assert torch.equal(weight, other)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_the_recipe_sets_arrives(name: str) -> None:
    parameters = inspect.signature(OPTIMIZERS[name]).parameters.values()
    chosen = {p.name: 0.125 for p in parameters if p.kind is p.KEYWORD_ONLY and p.annotation == "float"}
    optimizer = build(OPTIMIZERS, "optimizer", component(name, **chosen), [("weight", nn.Parameter(torch.zeros(1, 1)))])
    (group,) = optimizer.param_groups
    arrived = {"beta1": group.get("betas", [None])[0], "beta2": group.get("betas", [None, None])[1], **group}
    assert {key: arrived[key] for key in chosen} == chosen


def test_adam_has_the_defaults_of_its_paper() -> None:
    (group,) = build(
        OPTIMIZERS, "optimizer", Component(name="adam"), [("weight", nn.Parameter(torch.zeros(1)))]
    ).param_groups
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (1e-3, (0.9, 0.999), 1e-8, 0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_impossible_rate_is_the_users_error(name: str) -> None:
    with pytest.raises(UserError, match=f"optimizer {name}: .*-1"):
        build(OPTIMIZERS, "optimizer", component(name, lr=-1), [("weight", nn.Parameter(torch.zeros(1)))])


# --- groups -----------------------------------------------------------------------------------------------------------


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_options_all_parameters_are_one_group(name: str) -> None:
    module = network()
    optimizer = build(OPTIMIZERS, "optimizer", component(name, no_decay=False), module.named_parameters())
    (group,) = optimizer.param_groups
    assert all(one is other for one, other in zip(group["params"], module.parameters(), strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_biases_and_norms_may_be_spared_the_decay_and_names_have_rates_of_their_own(name: str) -> None:
    module = network()
    options = {"no_decay": True, "weight_decay": 0.1, "rate_factors": {"2.*": 3.0, "*": 0.5}}
    optimizer = build(OPTIMIZERS, "optimizer", component(name, **options), module.named_parameters())
    found = {}
    for group in optimizer.param_groups:
        for own, parameter in module.named_parameters():
            if any(parameter is one for one in group["params"]):
                found[own] = round(group["lr"], 9), group["weight_decay"]
    assert found == {
        "0.weight": (0.025, 0.1),
        "0.bias": (0.025, 0.0),
        "1.weight": (0.025, 0.0),
        "1.bias": (0.025, 0.0),
        "2.weight": (0.15, 0.1),
        "2.bias": (0.15, 0.0),
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_is_spared_the_decay_may_be_named(name: str) -> None:
    module = network()
    options = {"no_decay": ["0.*", "2.bias"], "weight_decay": 0.1, "lr": 0.05}
    optimizer = build(OPTIMIZERS, "optimizer", component(name, **options), module.named_parameters())
    spared = {id(one) for group in optimizer.param_groups if group["weight_decay"] == 0 for one in group["params"]}
    names = {own for own, parameter in module.named_parameters() if id(parameter) in spared}
    assert names == {"0.weight", "0.bias", "2.bias"}
    with pytest.raises(UserError, match=r"no_decay: no parameter is called 'head\.\*'"):
        build(OPTIMIZERS, "optimizer", component(name, no_decay=["head.*"]), module.named_parameters())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_is_frozen_is_in_no_group_and_may_have_a_rate(name: str) -> None:
    module = network()
    module[0].requires_grad_(False)  # type: ignore[operator]
    options = component(name, no_decay=False, rate_factors={"0.*": 0.5})
    (group,) = build(OPTIMIZERS, "optimizer", options, module.named_parameters()).param_groups
    assert all(one is other for one, other in zip(group["params"], module[1:].parameters(), strict=True))
    assert group["lr"] == 0.05


@pytest.mark.parametrize(
    ("factors", "sentence"),
    [
        ({"head.*": 2.0}, "no parameter is called 'head.*'. The first names are: 0.weight, 0.bias"),
        (
            {"0.wieght": 2.0},
            "no parameter is called '0.wieght'. Did you mean '0.weight'? The first names are: 0.weight",
        ),
        ({"0.*": -1.0}, "a factor is at least 0"),
    ],
)
def test_impossible_rates_are_the_users_error(factors: dict[str, float], sentence: str) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        build(OPTIMIZERS, "optimizer", component("adam", rate_factors=factors), network().named_parameters())


# --- LARS -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("no_decay", "golden"), [(True, "excl"), (False, "all")])
def test_lars_moves_as_the_reference_implementation(no_decay: bool, golden: str) -> None:
    """Four steps of made gradients, with biases spared and not (tests/data: losses.npz)."""
    weight = nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4))
    bias = nn.Parameter(torch.tensor([0.1, -0.2, 0.3]))
    params = component("lars", lr=0.8, weight_decay=1e-4, no_decay=no_decay)
    optimizer = build(OPTIMIZERS, "optimizer", params, [("weight", weight), ("bias", bias)])
    for number in range(4):
        for group in optimizer.param_groups:
            group["lr"] = 0.8 * (number + 1) / 4
        weight.grad = torch.cos((number + 1) * weight.detach())
        bias.grad = torch.sin(bias.detach() + number)
        optimizer.step()
        torch.testing.assert_close(weight.detach(), torch.from_numpy(GOLDEN[f"lars_{golden}_w"][number]))
        torch.testing.assert_close(bias.detach(), torch.from_numpy(GOLDEN[f"lars_{golden}_b"][number]))


def test_a_weight_of_zeros_is_not_held_at_zero() -> None:
    weight = nn.Parameter(torch.zeros(2, 2))
    optimizer = build(OPTIMIZERS, "optimizer", component("lars"), [("weight", weight)])
    weight.grad = torch.ones(2, 2)
    optimizer.step()
    assert torch.equal(weight.detach(), torch.full((2, 2), -0.05))
