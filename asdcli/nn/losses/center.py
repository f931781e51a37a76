"""Center loss: embeddings near a learnt centre of their class."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CenterLoss(nn.Module):
    """Mean over the batch of the squared distance to the centre of the own class, |x - c_y|^2 (Wen et al. 2016).

    Wen et al. halve it and move the centres by a rule of their own; MobileAnoNet (2023) does neither: its centres start
    as N(0, 1) and are trained like all weights.

    Args:
        embedding: size of the embeddings.
        classes: number of classes.
    """

    def __init__(self, embedding: int, classes: int) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(classes, embedding))

    def forward(self, embeddings: Tensor, label: Tensor) -> Tensor:
        """A scalar, from `[batch, size]` and `[batch]`; examples of the class -1 do not count."""
        known = label >= 0
        squared = (embeddings - self.centres[label.clamp_min(0)]).square().sum(1)
        return (squared * known).sum() / known.sum().clamp_min(1)
