"""Optimisers a recipe may name: torch's own in their fused form and LARS, with the parameters the papers print.

All take parameters with their names, and two options that make groups of them. `no_decay: true` spares biases and
norms, whatever has one dimension, the weight decay (and LARS' adaptation); a list of patterns spares what they match.
`rate_factors` multiplies the rate of parameters whose name matches a pattern, such as `{"model.*": 0.1}`, the first
that matches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from typing import Any

import torch
from torch.nn import Parameter

from asdcli.errors import did_you_mean
from asdcli.nn.lars import Lars

Named = Iterable[tuple[str, Parameter]]
Factors = dict[str, float]
Spared = bool | list[str]


def adam(
    parameters: Named,
    *,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    no_decay: Spared = False,
    rate_factors: Factors = {},  # noqa: B006
) -> torch.optim.Optimizer:
    grouped = groups(parameters, lr, no_decay, rate_factors)
    return torch.optim.Adam(grouped, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay, fused=True)


def adamw(
    parameters: Named,
    *,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    no_decay: Spared = False,
    rate_factors: Factors = {},  # noqa: B006
) -> torch.optim.Optimizer:
    grouped = groups(parameters, lr, no_decay, rate_factors)
    return torch.optim.AdamW(grouped, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay, fused=True)


def sgd(
    parameters: Named,
    *,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    no_decay: Spared = False,
    rate_factors: Factors = {},  # noqa: B006
) -> torch.optim.Optimizer:
    grouped = groups(parameters, lr, no_decay, rate_factors)
    return torch.optim.SGD(grouped, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, fused=True)


def lars(
    parameters: Named,
    *,
    lr: float,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    eta: float = 0.001,
    no_decay: Spared = True,
    rate_factors: Factors = {},  # noqa: B006
) -> torch.optim.Optimizer:
    grouped = groups(parameters, lr, no_decay, rate_factors)
    for group in grouped:
        group["adapt"] = "weight_decay" not in group
    return Lars(grouped, lr=lr, momentum=momentum, weight_decay=weight_decay, eta=eta)


def groups(parameters: Named, lr: float, no_decay: Spared, rate_factors: Factors) -> list[dict[str, Any]]:
    """Parameters by what is common to them, each group with its rate, and with a weight decay of 0 where it is spared.

    Those without a gradient are left out; a pattern may match nothing else. Raises ValueError for a factor that is
    none, and for a pattern that no name matches.
    """
    named = list(parameters)
    spares = no_decay if isinstance(no_decay, list) else []
    for key, patterns in (("rate_factors", rate_factors), ("no_decay", spares)):
        for pattern in patterns:
            if not any(fnmatch(name, pattern) for name, _ in named):
                raise ValueError(f"{key}: no parameter is called '{pattern}'{other_names(pattern, named)}")
    if rate_factors and min(rate_factors.values()) < 0:
        raise ValueError(f"rate_factors: a factor is at least 0, not {min(rate_factors.values())}")
    found: dict[tuple[float, bool], dict[str, Any]] = {}
    for name, parameter in named:
        if not parameter.requires_grad:
            continue
        factor = next((factor for pattern, factor in rate_factors.items() if fnmatch(name, pattern)), 1.0)
        spared = (no_decay is True and parameter.ndim <= 1) or any(fnmatch(name, pattern) for pattern in spares)
        options = {"weight_decay": 0.0} if spared else {}
        found.setdefault((factor, spared), {"params": [], "lr": lr * factor, **options})["params"].append(parameter)
    return list(found.values())


def other_names(pattern: str, named: Iterable[tuple[str, Parameter]]) -> str:
    """For messages about a pattern that matches nothing, after its closing quote: a close name, and the first ones."""
    names = [name for name, _ in named]
    return f".{did_you_mean(pattern, names)} The first names are: {', '.join(names[:5])}, ..."


OPTIMIZERS: dict[str, Callable[..., Any]] = {"adam": adam, "adamw": adamw, "sgd": sgd, "lars": lars}
