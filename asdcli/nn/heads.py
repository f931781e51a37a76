"""Heads on top of an embedding: several questions, not all of which every clip answers; an expander."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

MOMENTUM = 0.1  # of running averages, as in torch's batch norms
EPSILON = 1e-5


class Answers(NamedTuple):
    """Of each example and head, `[batch, heads]`: the cross-entropy, whether the label is the likeliest, and whether
    there is a label at all that counts; the first two are 0 where not.
    """

    loss: Tensor
    hit: Tensor
    counts: Tensor


class MaskedHeads(nn.Module):
    """Linear classifiers without bias, each followed by a batch norm over the examples that have its label.

    An example without a label for a head does not touch it, neither its statistics nor its weights. Two values at least
    make a deviation: in training a head with fewer labelled examples in the batch is left out. All heads are computed
    as one, so that none of it waits for the device to count.

    Args:
        embedding: size of the embeddings.
        classes: number of classes of each head.
    """

    running_mean: Tensor
    running_variance: Tensor
    _head: Tensor
    _columns: Tensor

    def __init__(self, embedding: int, classes: Sequence[int]) -> None:
        super().__init__()
        total = sum(classes)
        bound = 1 / math.sqrt(embedding)  # of torch's linear layers
        self.weight = nn.Parameter(torch.empty(total, embedding).uniform_(-bound, bound))
        self.norm_weight = nn.Parameter(torch.ones(total))
        self.norm_bias = nn.Parameter(torch.zeros(total))
        self.register_buffer("running_mean", torch.zeros(total))
        self.register_buffer("running_variance", torch.ones(total))
        head = torch.repeat_interleave(torch.arange(len(classes)), torch.tensor(classes))
        columns = torch.full((len(classes), max(classes)), total)  # beyond its classes, a head has a column of -inf
        for number, count in enumerate(classes):
            columns[number, :count] = torch.arange(count) + sum(classes[:number])
        self.register_buffer("_head", head, persistent=False)  # of each column
        self.register_buffer("_columns", columns, persistent=False)  # of each head, `[heads, most classes]`

    def forward(self, embeddings: Tensor, labels: Tensor) -> Answers:
        """`[batch, size]` and class numbers `[batch, heads]`, -1 for none, to what each head makes of each example."""
        counts = labels >= 0
        if self.training:
            counts = counts & (counts.sum(0) > 1)
        log_p = self._normalised(embeddings @ self.weight.T, counts)
        padded = torch.cat([log_p, log_p.new_full((len(log_p), 1), -math.inf)], 1)
        log_p = padded[:, self._columns].log_softmax(2)  # [batch, heads, most classes]
        own = log_p.gather(2, labels.clamp_min(0)[:, :, None])[:, :, 0]
        hit = (log_p.argmax(2) == labels) & counts
        return Answers(torch.where(counts, -own, 0), hit, counts)

    def _normalised(self, scores: Tensor, counts: Tensor) -> Tensor:
        """Batch norm of each column over the examples that count for its head."""
        mean, variance = self.running_mean, self.running_variance
        if self.training:
            weight = counts[:, self._head].to(scores.dtype)
            total = weight.sum(0)
            mean = (scores * weight).sum(0) / total.clamp_min(1)
            variance = ((scores - mean).square() * weight).sum(0) / total.clamp_min(1)
            with torch.no_grad():
                rate = MOMENTUM * (total > 1)
                unbiased = variance * total / (total - 1).clamp_min(1)
                self.running_mean += rate * (mean - self.running_mean)
                self.running_variance += rate * (unbiased - self.running_variance)
        return (scores - mean) * (variance + EPSILON).rsqrt() * self.norm_weight + self.norm_bias


def expander(embedding: int, *, width: int, layers: int = 3, literal: bool = False) -> nn.Sequential:
    """Linear layers of one width with batch norm and ReLU, on whose output VICReg's loss is computed.

    literal: the last layer has them too, as the words of EPFL's report say ("each followed by"); otherwise it is a
    plain linear layer without bias, as in VICReg.
    """
    parts: list[nn.Module] = []
    for number in range(layers):
        inputs = width if number else embedding
        if number < layers - 1 or literal:
            parts += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU()]
        else:
            parts.append(nn.Linear(inputs, width, bias=False))
    return nn.Sequential(*parts)
