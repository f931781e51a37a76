"""LARS: the rate of each layer in proportion to its weights, for very large batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class Lars(torch.optim.Optimizer):
    """Layer-wise adaptive rate scaling (You et al. 2017, arXiv:1708.03888) with momentum, as VICReg uses it.

    With d = gradient + decay * w, each weight tensor's d is multiplied by eta |w| / |d| (by 1 where either is zero)
    before it enters the momentum, m = momentum * m + d, and w falls by rate * m. Groups with `adapt: false` are neither
    adapted nor decayed.
    """

    def __init__(
        self, params: Iterable[dict[str, Any]], *, lr: float, momentum: float, weight_decay: float, eta: float
    ) -> None:
        if min(lr, momentum, weight_decay, eta) < 0:
            raise ValueError(f"Invalid value: {min(lr, momentum, weight_decay, eta)}")
        super().__init__(
            params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "eta": eta, "adapt": True}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        if closure is not None:
            raise TypeError("Lars takes no closure")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group)

    def _move(self, weight: Tensor, change: Tensor, group: dict[str, Any]) -> None:
        if group["adapt"]:
            change = change.add(weight, alpha=group["weight_decay"])
            size, length = weight.norm(), change.norm()
            factor = group["eta"] * size / length
            change = change * torch.where((size > 0) & (length > 0), factor, 1.0)
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        state["momentum_buffer"].mul_(group["momentum"]).add_(change)
        weight.sub_(state["momentum_buffer"], alpha=group["lr"])
