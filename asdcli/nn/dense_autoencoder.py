"""The dense auto-encoder of the DCASE Task 2 baselines."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn


class DenseAutoencoder(nn.Module):
    """Fully connected encoder and decoder: Linear, batch norm, ReLU on every layer but the last, which is linear.

    With the defaults and 5 frames of 128 mel bins: 640-128-128-128-128-8-128-128-128-128-640, 267,928 parameters
    (Harada et al. 2023, arXiv:2303.00455; the Keras baselines of 2020-2022 are the same network).

    Args:
        input_shape: shape of one example, `(frames, features)`; it is flattened, frame by frame.
        hidden: units of each hidden layer.
        layers: hidden layers on each side of the bottleneck.
        bottleneck: units of the code.
        norm_momentum, norm_eps: of the batch norms; 0.01 and 1e-3 are Keras' 0.99 and 1e-3 in torch's words.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        hidden: int = 128,
        layers: int = 4,
        bottleneck: int = 8,
        norm_momentum: float = 0.01,
        norm_eps: float = 1e-3,
    ) -> None:
        super().__init__()
        if min(hidden, layers, bottleneck) < 1:
            raise ValueError("hidden, layers and bottleneck must be at least 1")
        size = math.prod(input_shape)
        widths = [size, *[hidden] * layers, bottleneck, *[hidden] * layers]

        def block(n_in: int, n_out: int) -> list[nn.Module]:
            norm = nn.BatchNorm1d(n_out, eps=norm_eps, momentum=norm_momentum)
            return [nn.Linear(n_in, n_out), norm, nn.ReLU()]

        blocks = [module for pair in pairwise(widths) for module in block(*pair)]
        split = 3 * (layers + 1)
        self.encoder = nn.Sequential(*blocks[:split])
        self.decoder = nn.Sequential(*blocks[split:], nn.Linear(widths[-1], size))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction of `x`, `[batch, frames, features]`, in the same shape."""
        return self.decoder(self.encoder(x.flatten(1))).view_as(x)
