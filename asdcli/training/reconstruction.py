"""Auto-encoding: the loss is the mean squared error, and a clip is described by its residuals."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asdcli.training.task import Task
from asdcli.training.views import Batch, View


class Reconstruction(Task):
    """Mean squared error between examples and their reconstruction.

    A clip's embedding is the first and second moment of its residual rows (one row per frame of each window):
    `residual_mean` `[features]` and `residual_moment` `[features * (features + 1) / 2]`, the upper triangle of
    mean(delta delta^T). Both published scores are linear in them: the mean squared error is the moment's trace over
    the number of features, and the mean squared Mahalanobis distance is trace(Sigma^-1 moment).
    """

    def __init__(self, model: nn.Module, view: View) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        return {"loss": F.mse_loss(self.model(batch.x), batch.x)}

    def embed(self, examples: Tensor) -> dict[str, Tensor]:
        rows = (self.model(examples) - examples).flatten(0, -2)  # [windows * frames, features]
        moment = rows.T @ rows / len(rows)
        upper = torch.triu_indices(*moment.shape, device=moment.device)
        return {"residual_mean": rows.mean(0), "residual_moment": moment[upper[0], upper[1]]}
