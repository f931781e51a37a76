"""Less memory for more time: blocks that keep their input alone and are computed again in the backward pass."""

from __future__ import annotations

from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint


def recomputed(block: nn.Module, *inputs: Tensor) -> Tensor:
    """`block(*inputs)`, of which only the inputs are kept until the backward pass (Chen et al. 2016, arXiv:1604.06174).

    Random draws are the same both times. The second time works on copies of the block's buffers, so that running
    averages of batch norms and whatever else a forward pass moves are moved once: torch's own checkpoint would count
    each batch twice.
    """
    runs = 0

    def run(*inputs: Tensor) -> Tensor:
        nonlocal runs
        runs += 1
        if runs == 1:
            first: Tensor = block(*inputs)
            return first
        copies = {name: buffer.clone() for name, buffer in block.named_buffers()}
        again: Tensor = functional_call(block, copies, inputs)
        return again

    made: Tensor = checkpoint(run, *inputs, use_reentrant=False)
    return made
