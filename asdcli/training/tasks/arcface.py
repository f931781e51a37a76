"""Classification with an angular margin: embeddings that keep the classes of normal sound apart."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from asdcli.errors import UserError
from asdcli.nn.losses.arcface import ArcFace
from asdcli.training.labels import CLASS
from asdcli.training.tasks.task import Task
from asdcli.training.views.view import Batch, View, class_count


class ArcFaceClassification(Task):
    """ArcFace or Sub-center ArcFace over the view's classes, for whole and for mixed examples.

    Args:
        model: backbone with `embedding_size`.
        view: tells the number of classes.
        scale, margin_rad, centres, mixed: of the loss (`asdcli.nn.losses.arcface.ArcFace`).
    """

    def __init__(
        self,
        model: nn.Module,
        view: View,
        *,
        scale: float = 30.0,
        margin_rad: float = 0.05,
        centres: int = 1,
        mixed: Literal["two_label", "soft_label"] = "two_label",
    ) -> None:
        super().__init__()
        self.model = model
        size = int(model.embedding_size)  # type: ignore[arg-type]
        self.arcface = ArcFace(
            size, class_count(view), scale=scale, margin_rad=margin_rad, centres=centres, mixed=mixed
        )

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        embedding, mixed = self.model(batch.x), batch.mixed
        other, rate = (mixed.labels[CLASS], mixed.rate) if mixed else (None, None)
        loss = self.arcface(embedding, batch.label, other, rate)
        hits = (self.arcface.cosines(embedding.detach()).argmax(1) == batch.label).float().mean()
        return {"loss": loss, "accuracy": hits}

    def embed(self, examples: Tensor, counts: list[int]) -> dict[str, Tensor]:
        """`embedding`: one per piece, `[clips, pieces, size]`. Raises UserError where clips have other numbers."""
        if len(set(counts)) > 1:
            raise UserError(
                f"The task arcface keeps an embedding per piece, but clips have {min(counts)} to {max(counts)} pieces.",
                "view: {pieces: 10} cuts equally many from clips of any length.",
            )
        return {"embedding": self.outputs(examples).unflatten(0, (len(counts), -1))}
