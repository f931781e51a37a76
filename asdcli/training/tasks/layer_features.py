"""Clips described by a network that is not trained: its features at each place in frequency and time."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from asdcli.errors import UserError
from asdcli.nn.pooling import Pool
from asdcli.training.tasks.frozen import Frozen
from asdcli.training.tasks.moments import moments
from asdcli.training.views.view import View


class LayerFeatures(Frozen):
    """The network's features of standardised clips: the embedding `positions`, `[height, width, channels]`.

    Features lose their mean and are divided by their deviation over the training clips, which are part of the weights:
    networks for images expect values of that size. There is no loss; a phase with this task has `steps: 0`.

    Args:
        model: `[batch, frames, features]` to `[batch, height, width, channels]`.
        view: whole clips, one example each; where the recipe pools, windows will do.
        standardise: each `feature` (mel bin) by its own mean and deviation, or `all` by one, which keeps the shape of
            the spectrum in the image.
    """

    called = "layer_features"
    mean: Tensor
    deviation: Tensor

    def __init__(self, model: nn.Module, view: View, *, standardise: Literal["feature", "all"] = "feature") -> None:
        super().__init__(model, view)
        mean, deviation = moments(view, per_feature=True)
        if standardise == "all":
            deviation = (deviation.square() + (mean - mean.mean()).square()).mean().sqrt()
            mean = mean.mean()
        self.register_buffer("mean", mean.float())
        self.register_buffer("deviation", deviation.float())

    @staticmethod
    def learns_from_whole_clips(**params: object) -> bool:
        return True

    def embed(self, examples: Tensor, counts: list[int]) -> dict[str, Tensor]:
        """`positions`: `[clips, height, width, channels]`. Raises UserError for clips that are cut."""
        if max(counts) != 1:
            raise UserError(
                f"The task layer_features describes whole clips, but the recipe's view cuts one into {max(counts)}.",
                "view: whole_clips, or pooling, which takes windows too",
            )
        return {"positions": self._positions(examples)}

    def pooled(self, examples: Tensor, counts: list[int], pool: Pool) -> dict[str, Tensor]:
        """`positions` with the times of each band made one: `[clips, height, 1, channels]`."""
        clips = []
        for part in self._positions(examples).split(counts):
            times = part.transpose(1, 2).flatten(0, 1)  # [examples * width, height, channels]
            clips.append(pool(times.flatten(1)).view(times.shape[1:]))
        return {"positions": torch.stack(clips).unsqueeze(2)}

    def _positions(self, examples: Tensor) -> Tensor:
        return self.outputs((examples - self.mean) / self.deviation)
