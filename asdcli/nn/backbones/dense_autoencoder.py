"""Fully connected auto-encoders: the one of the DCASE Task 2 baselines, and narrowing ones."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn


class DenseAutoencoder(nn.Module):
    """Fully connected encoder and decoder: Linear, batch norm, ReLU on every layer but the last, which is linear.

    With the defaults and 5 frames of 128 mel bins: 640-128-128-128-128-8-128-128-128-128-640, 267,928 parameters
    (Harada et al. 2023, arXiv:2303.00455; the Keras baselines of 2020-2022 are the same network). With `widths`
    512-256-128-64-32 and no norm it is the Dense AE of the Zenn article on bearingEmu (2026): 1,006,112 parameters.

    Args:
        input_shape: shape of one example, `(frames, features)`; it is flattened, frame by frame.
        hidden: units of each hidden layer.
        layers: hidden layers on each side of the bottleneck.
        bottleneck: units of the code.
        widths: units of the encoder's layers down to the code, in place of `hidden`, `layers` and `bottleneck`; the
            decoder has the same in reverse.
        norm: what stands between a Linear and its ReLU.
        norm_momentum, norm_eps: of the batch norms; 0.01 and 1e-3 are Keras' 0.99 and 1e-3 in torch's words.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        hidden: int = 128,
        layers: int = 4,
        bottleneck: int = 8,
        widths: tuple[int, ...] | None = None,
        norm: Literal["batch", "none"] = "batch",
        norm_momentum: float = 0.01,
        norm_eps: float = 1e-3,
    ) -> None:
        super().__init__()
        if widths is None:
            if min(hidden, layers, bottleneck) < 1:
                raise ValueError("hidden, layers and bottleneck must be at least 1")
            widths = (*[hidden] * layers, bottleneck)
        if not widths or min(widths) < 1:
            raise ValueError("widths needs at least one number, and all must be at least 1")
        size = math.prod(input_shape)

        def block(n_in: int, n_out: int) -> list[nn.Module]:
            norms = [nn.BatchNorm1d(n_out, eps=norm_eps, momentum=norm_momentum)] if norm == "batch" else []
            return [nn.Linear(n_in, n_out), *norms, nn.ReLU()]

        def blocks(sizes: tuple[int, ...]) -> list[nn.Module]:
            return [module for pair in pairwise(sizes) for module in block(*pair)]

        self.encoder = nn.Sequential(*blocks((size, *widths)))
        self.decoder = nn.Sequential(*blocks(widths[::-1]), nn.Linear(widths[0], size))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction of `x`, `[batch, frames, features]`, in the same shape."""
        return self.decoder(self.encoder(x.flatten(1))).view_as(x)
