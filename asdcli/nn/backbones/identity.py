"""No network: an example is its own description."""

from __future__ import annotations

import math

from torch import Tensor, nn


class Identity(nn.Module):
    """Examples as vectors, `[batch, ...]` to `[batch, values]`; nothing in it can be trained.

    Args:
        input_shape: shape of one example.
    """

    def __init__(self, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.embedding_size = math.prod(input_shape)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)
