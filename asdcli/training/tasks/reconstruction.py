"""Auto-encoding: the loss is the mean squared error, and a clip is described by its residuals."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asdcli.training.tasks.moments import moments
from asdcli.training.tasks.task import Task
from asdcli.training.views.view import Batch, View


class Reconstruction(Task):
    """Mean squared error between examples and their reconstruction.

    A clip's embedding is the first and second moment of its residual rows (one row per frame of each window):
    `residual_mean` `[features]` and `residual_moment` `[features * (features + 1) / 2]`, the upper triangle of
    mean(delta delta^T). Both published scores are linear in them: the mean squared error is the moment's trace over
    the number of features, and the mean squared Mahalanobis distance is trace(Sigma^-1 moment).

    Standardised examples are what the network sees and what it is compared with, so residuals are in units of standard
    deviations. Mean and deviation are of all examples of the view, held-out ones included, and part of the weights.

    Args:
        model: the network, `[batch, ..., features]` to the same shape.
        view: the training examples.
        standardise: each `feature` (mel bin) by its own mean and deviation, each `value` of an example (frame and
            feature) by its own, or `none`.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, model: nn.Module, view: View, *, standardise: Literal["none", "feature", "value"] = "none"
    ) -> None:
        super().__init__()
        self.model = model
        self.standardised = standardise != "none"
        if self.standardised:
            mean, deviation = moments(view, per_feature=standardise == "feature")
            self.register_buffer("mean", mean.float())
            self.register_buffer("deviation", deviation.float())

    @staticmethod
    def learns_from_whole_clips(**params: object) -> bool:
        return params["standardise"] != "none"

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        x = self._standardise(batch.x)
        return {"loss": F.mse_loss(self.model(x), x)}

    def embed(self, examples: Tensor, counts: list[int]) -> dict[str, Tensor]:
        x = self._standardise(examples)
        residual = (self.outputs(x) - x).split(counts)  # per clip, [windows, ..., features]
        rows = [part.flatten(0, -2) for part in residual]  # [windows * frames, features]
        moment = torch.stack([one.T @ one / len(one) for one in rows])
        upper = torch.triu_indices(*moment.shape[1:], device=moment.device)
        return {
            "residual_mean": torch.stack([one.mean(0) for one in rows]),
            "residual_moment": moment[:, upper[0], upper[1]],
        }

    def _standardise(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation if self.standardised else x
