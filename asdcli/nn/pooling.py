"""From a clip's tokens to its vector: parts of networks, and functions of what networks make of a clip's pieces."""

from __future__ import annotations

import math
from collections.abc import Callable

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


Pool = Callable[[Tensor], Tensor]
"""What is made of a clip's pieces, `[pieces, size]` to `[size]`, or to several such."""


def mean() -> Pool:
    return lambda values: values.mean(0)


def maximum() -> Pool:
    return lambda values: values.amax(0)


def quantile(*, quantile: float | list[float] = 0.9) -> Pool:
    """Of each dimension by itself, between the two nearest values; of several quantiles one after the other,
    `[quantiles * size]`.
    """
    wanted = quantile if isinstance(quantile, list) else [quantile]
    if not wanted or not all(0 <= share <= 1 for share in wanted):
        raise ValueError(f"quantile lies between 0 and 1, not at {quantile}")

    def pool(values: Tensor) -> Tensor:
        ordered = values.sort(0).values  # torch.quantile takes 16 million values at most
        places = [share * (len(values) - 1) for share in wanted]
        return torch.cat([torch.lerp(ordered[math.floor(at)], ordered[math.ceil(at)], at % 1) for at in places])

    return pool


def generalised_mean(*, p: float = 3.0) -> Pool:
    """(mean of x^p)^(1 / p) (Radenovic et al. 2018, arXiv:1711.02512): the mean for p = 1, nearer to the maximum above.

    That is for values which are not negative. Of others, power and root keep the sign, as they do for odd p.
    """
    if p <= 0:
        raise ValueError(f"p is {p}; it has to be above 0")

    def pool(values: Tensor) -> Tensor:
        largest = values.abs().amax(0).clamp_min(torch.finfo(values.dtype).tiny)  # no power overflows
        scaled = values / largest
        powers = (scaled.sign() * scaled.abs() ** p).mean(0)
        return largest * powers.sign() * powers.abs() ** (1 / p)

    return pool


CLIP_POOLINGS: dict[str, Callable[..., Pool]] = {
    "mean": mean,
    "maximum": maximum,
    "quantile": quantile,
    "generalised_mean": generalised_mean,
}
