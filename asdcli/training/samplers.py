"""Samplers: in which order examples become batches."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from asdcli.training.views import View


class Shuffle:
    """Every example once per epoch, in random order.

    Args:
        view: unused here; samplers that balance sections or domains read its clip table.
        examples: numbers of the examples to draw from.
        batch_size: examples per batch; a last batch of a single example is left out, since batch norm cannot use it.
    """

    def __init__(self, view: View, examples: Tensor, batch_size: int) -> None:
        self.examples = examples
        self.batch_size = batch_size
        self.batches = -(-len(examples) // batch_size)
        if len(examples) > 1 and len(examples) % batch_size == 1 and batch_size > 1:
            self.batches -= 1

    def epoch(self, generator: torch.Generator, skip: int = 0) -> Iterator[Tensor]:
        """The batches of one epoch, without the first `skip` of them."""
        order = self.examples[torch.randperm(len(self.examples), generator=generator)]
        for index in range(skip, self.batches):
            yield order[index * self.batch_size : (index + 1) * self.batch_size]
