"""Every example once per epoch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from asdcli.training.views.view import View


class Shuffle:
    """Every example once per epoch, in random order.

    Args:
        view: unused here; samplers that balance sections or domains read its clip table.
        examples: numbers of the examples to draw from.
        batch_size: examples per batch. What is left over makes a smaller last batch, but for a single example, which is
            left out, since batch norm cannot use it.
        even: batches of one size, give or take one example, in place of a smaller last one. Of 50 examples in batches
            of at most 48, two make the last one, and every other step would follow those.
    """

    def __init__(self, view: View, examples: Tensor, batch_size: int, *, even: bool = False) -> None:
        self.examples = examples
        self.batch_size, self.even = batch_size, even
        self.batches = len(self._cut(examples))

    def epoch(self, generator: torch.Generator, skip: int = 0) -> Iterator[Tensor]:
        """The batches of one epoch, without the first `skip` of them."""
        order = self.examples[torch.randperm(len(self.examples), generator=generator)]
        yield from self._cut(order)[skip:]

    def _cut(self, order: Tensor) -> tuple[Tensor, ...]:
        parts = order.split(self.batch_size)
        if self.even:
            parts = order.tensor_split(len(parts))
        lone = len(parts) > 1 and self.batch_size > 1 and len(parts[-1]) == 1
        return tuple(parts[:-1] if lone else parts)
