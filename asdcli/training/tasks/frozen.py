"""A network that is not trained, for what it makes of clips as it is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asdcli.errors import UserError
from asdcli.training.tasks.task import Task, clip_means
from asdcli.training.views.view import Batch, View


class Frozen(Task):
    """Embeddings of a network as it starts. There is no loss; a phase with this task has `steps: 0`.

    Args:
        model: backbone with `embedding_size`.
        view: unused here.
    """

    def __init__(self, model: nn.Module, view: View) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        raise UserError(
            "The task frozen has nothing to train.", "Give its phase steps: 0; the network stays as it starts."
        )

    def embed(self, examples: Tensor, counts: list[int]) -> dict[str, Tensor]:
        """`embedding`: the mean over a clip's examples, `[clips, size]`."""
        return {"embedding": clip_means(self.outputs(examples), counts)}
