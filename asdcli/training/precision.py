"""Half precision: for the network, and for nothing else of a task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def bfloat16_network(model: nn.Module, device: torch.device) -> Iterator[None]:
    """As long as this lasts, `model` computes under bfloat16 autocast when it is called, and returns float32.

    What a task does with the embeddings or the reconstruction it gets stays in float32: cosines, norms, roots and
    variances lose in bfloat16 what a loss depends on (ArcFace 0.002 of its cosines). A new loss need not know of this.
    Whoever calls a part of the network past its `forward` gets that part in float32.
    """
    plain = model.forward

    def forward(*inputs: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            output: Tensor = plain(*inputs)
        return output.float()

    model.forward = forward
    try:
        yield
    finally:
        del model.forward  # the method of its class is left
