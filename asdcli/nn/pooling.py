"""From a clip's tokens to its vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MeanPooling(nn.Module):
    """The mean of the tokens, `[batch, tokens, size]` to `[batch, size]`."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


class AttentiveStatisticsPooling(nn.Module):
    """Weighted mean and deviation of the tokens, `[batch, tokens, size]` to `[batch, 2 size]`.

    The weights are a softmax over the tokens of v f(W h + b) + k (Okabe et al. 2018), one per channel as in ECAPA-TDNN
    (Desplanques et al. 2020), here without its global context; f is ReLU, batch norm and tanh. Of 768 channels:
    197,760 parameters.

    Args:
        size: channels of a token.
        bottleneck: rows of W.
    """

    def __init__(self, size: int, bottleneck: int = 128) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.Conv1d(size, bottleneck, 1),
            nn.ReLU(),
            nn.BatchNorm1d(bottleneck),
            nn.Tanh(),
            nn.Conv1d(bottleneck, size, 1),
        )
        self.size = 2 * size

    def forward(self, x: Tensor) -> Tensor:
        h = x.transpose(1, 2)  # [batch, size, tokens]
        h = h.to(torch.promote_types(h.dtype, torch.float32))  # a variance in less would be rounding
        weight = self.attention(h).softmax(2)
        mean = (weight * h).sum(2)
        deviation = (weight * (h - mean[:, :, None]).square()).sum(2).clamp_min(1e-9).sqrt()
        return torch.cat([mean, deviation], 1)


class AllTokens(nn.Module):
    """The tokens as they are, for heads that pool by themselves."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x


POOLINGS: dict[str, type[nn.Module]] = {
    "mean": MeanPooling,
    "statistics": AttentiveStatisticsPooling,
    "tokens": AllTokens,
}
