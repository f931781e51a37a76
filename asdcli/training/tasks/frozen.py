"""A network that is not trained, for what it makes of clips as it is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asdcli.errors import UserError
from asdcli.training.tasks.task import Task
from asdcli.training.views.view import Batch, View


class Frozen(Task):
    """Embeddings of a network as it starts. There is no loss; a phase with this task has `steps: 0`.

    Args:
        model: backbone with `embedding_size`.
        view: unused here.
    """

    called = "frozen"

    def __init__(self, model: nn.Module, view: View) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        raise UserError(
            f"The task {self.called} has nothing to train.", "Give its phase steps: 0; the network stays as it starts."
        )
