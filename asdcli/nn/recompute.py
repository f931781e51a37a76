"""Less memory for more time: blocks that keep their input alone and are computed again in the backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recomputed(block: nn.Module, x: Tensor) -> Tensor:
    """`block(x)`, of which only x is kept until the backward pass (Chen et al. 2016, arXiv:1604.06174).

    Random draws are the same both times, and running averages of batch norms are updated the first time alone: torch's
    own checkpoint would count each batch twice.
    """
    made: Tensor = checkpoint(block, x, use_reentrant=False, context_fn=lambda: (nullcontext(), _unchanged(block)))
    return made


@contextmanager
def _unchanged(block: nn.Module) -> Iterator[None]:
    """Batch norms that track running averages leave them as they are."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm) and module.training]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches
