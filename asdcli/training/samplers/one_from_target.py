"""Batches that take one class from the target domain."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from asdcli.training.labels import CLASS
from asdcli.training.views.view import View


class OneFromTarget:
    """Each batch takes one class from the target domain and all others from the source domain (Zhou 2021, phase 2).

    The class is drawn anew for every batch, and every example draws its class first, so that all classes are seen
    equally often. Classes without target clips are never the one. An epoch is as many batches as it takes to see as
    many examples as there are.
    """

    def __init__(self, view: View, examples: Tensor, batch_size: int) -> None:
        self.batch_size = batch_size
        self.batches = -(-len(examples) // batch_size)
        rows = view.clip[examples]
        domains = view.clips.domain[rows.numpy()]
        is_target = torch.from_numpy(domains == "target")
        labels = view.labels[CLASS][rows]
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
            sizes = torch.tensor([len(pool) for pool in pools])
            begins = sizes.cumsum(0) - sizes
            if index >= skip:
                yield torch.cat(pools)[begins[which] + (share * sizes[which]).long()]
