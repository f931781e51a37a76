"""Samplers: in which order examples become batches."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from asdcli.training.views import LabelledView, View


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


class OneFromTarget:
    """Each batch takes one class from the target domain and all others from the source domain (Zhou 2021, phase 2).

    The class is drawn anew for every batch, and every example draws its class first, so that all classes are seen
    equally often. Classes without target clips are never the one. An epoch is as many batches as it takes to see as
    many examples as there are.
    """

    def __init__(self, view: LabelledView, examples: Tensor, batch_size: int) -> None:
        self.batch_size = batch_size
        self.batches = -(-len(examples) // batch_size)
        rows = view.clip[examples]
        domains = view.clips.domain[rows.numpy()]
        is_target = torch.from_numpy(domains == "target")
        labels = view.labels[rows]
        self.source = {int(c): examples[(labels == c) & ~is_target] for c in labels.unique()}
        self.target = {int(c): examples[(labels == c) & is_target] for c in labels.unique()}
        self.shifted = [c for c, clips in self.target.items() if len(clips)]
        if not self.shifted:
            raise ValueError("there are no training clips of the target domain to draw from")

    def epoch(self, generator: torch.Generator, skip: int = 0) -> Iterator[Tensor]:
        """The batches of one epoch, without the first `skip` of them."""
        for index in range(self.batches):
            shifted = self.shifted[int(torch.randint(len(self.shifted), (), generator=generator))]
            pools = [self.target[c] if c == shifted or not len(self.source[c]) else self.source[c] for c in self.source]
            which = torch.randint(len(pools), (self.batch_size,), generator=generator)
            share = torch.rand(self.batch_size, generator=generator, dtype=torch.float64)
            batch = torch.stack(
                [pools[p][int(s * len(pools[p]))] for p, s in zip(which.tolist(), share.tolist(), strict=True)]
            )
            if index >= skip:
                yield batch
