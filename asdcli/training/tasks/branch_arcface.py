"""Classification with an angular margin by several branches, each by itself and all together."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asdcli.errors import UserError
from asdcli.nn.branches import Branches
from asdcli.nn.losses.arcface import ArcFace
from asdcli.training.tasks.task import Task, clip_means
from asdcli.training.views.view import Batch, View, class_count

JOINT = "joint"  # of all branches together, beside the branches' own names


class BranchArcFace(Task):
    """The loss is the sum of each branch's ArcFace loss, weighted, and of one on the vectors of all, end to end.

    The dual network of AITHU's DCASE 2024 report, which leaves the weights open and has each branch go backward by
    itself, which is the same. A clip's `embedding`, `[clips, size]`, has the vectors of all branches end to end, each
    divided by its length.

    Args:
        model: a network with branches.
        view: tells the number of classes.
        branch_weight, joint_weight: of each branch's loss, and of the common one.
        scale, margin_rad, centres: of the losses (`asdcli.nn.losses.arcface.ArcFace`).
    """

    def __init__(
        self,
        model: nn.Module,
        view: View,
        *,
        branch_weight: float = 0.5,
        joint_weight: float = 1.0,
        scale: float = 30.0,
        margin_rad: float = 0.2,
        centres: int = 1,
    ) -> None:
        super().__init__()
        if not isinstance(model, Branches):
            raise UserError("The task branch_arcface needs a network of several branches.", "model: {branches: {...}}")
        self.model: Branches = model
        self._branch_weight, self._joint_weight = branch_weight, joint_weight
        if JOINT in model.sizes:
            raise UserError(f"A branch cannot be called {JOINT}, which is what all of them are together.")
        sizes = {**model.sizes, JOINT: model.embedding_size}
        self.arcface = nn.ModuleDict(
            {
                name: ArcFace(size, class_count(view), scale=scale, margin_rad=margin_rad, centres=centres)
                for name, size in sizes.items()
            }
        )

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        vectors = self.model(batch.x)
        found = {**self.model.parts(vectors), JOINT: vectors}
        losses = {f"{name}_loss": self.arcface[name](each, batch.label) for name, each in found.items()}
        joint = losses[f"{JOINT}_loss"]
        branches = [losses[f"{name}_loss"] for name in self.model.sizes]
        hits = (self.arcface[JOINT].cosines(vectors.detach()).argmax(1) == batch.label).float().mean()  # type: ignore[operator]
        loss = self._branch_weight * sum(branches) + self._joint_weight * joint
        return {"loss": loss, **losses, "accuracy": hits}

    def embed(self, examples: Tensor, counts: list[int]) -> dict[str, Tensor]:
        parts = self.model.parts(clip_means(self.outputs(examples), counts))
        return {"embedding": torch.cat([F.normalize(each) for each in parts.values()], 1)}
