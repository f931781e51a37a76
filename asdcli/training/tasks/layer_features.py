"""Clips described by a network that is not trained: its features at each place in frequency and time."""

from __future__ import annotations

from torch import Tensor, nn

from asdcli.errors import UserError
from asdcli.nn.pooling import Pool
from asdcli.training.tasks.frozen import Frozen
from asdcli.training.tasks.moments import moments
from asdcli.training.views.view import View


class LayerFeatures(Frozen):
    """The network's features of standardised clips: the embedding `positions`, `[height, width, channels]`.

    Each feature (mel bin) loses its mean and is divided by its deviation over the training clips, which are part of the
    weights: networks for images expect values of that size. There is no loss; a phase with this task has `steps: 0`.

    Args:
        model: `[batch, frames, features]` to `[batch, height, width, channels]`.
        view: whole clips, one example each.
    """

    called = "layer_features"
    mean: Tensor
    deviation: Tensor

    def __init__(self, model: nn.Module, view: View) -> None:
        super().__init__(model, view)
        mean, deviation = moments(view, per_feature=True)
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
                "view: whole_clips",
            )
        return {"positions": self.outputs((examples - self.mean) / self.deviation)}

    def pooled(self, examples: Tensor, counts: list[int], pool: Pool) -> dict[str, Tensor]:
        """`positions` with the times of each band made one: `[clips, height, 1, channels]`."""
        by_time = self.embed(examples, counts)["positions"].movedim(2, 0)
        return {"positions": pool(by_time.flatten(1)).unflatten(0, by_time.shape[1:]).unsqueeze(2)}
