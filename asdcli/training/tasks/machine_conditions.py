"""Classification of machine type and working conditions together, one extractor with many heads."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asdcli.errors import UserError
from asdcli.nn.heads import MaskedHeads
from asdcli.nn.losses.center import CenterLoss
from asdcli.training.labels import CLASS, MACHINE
from asdcli.training.tasks.task import Task
from asdcli.training.views.view import Batch, View, class_count


class MachineConditions(Task):
    """Machine type and working conditions learnt together (MobileAnoNet 2023, equations 1-3).

    The loss is the cross-entropy of the main head, a center loss on the same classes, and the cross-entropies of one
    head for each attribute of each machine. Clips without an attribute do not touch its head, machines without any
    train the main head alone, and an attribute that has one value makes no head. Each head is a linear layer and a
    batch norm. An example's embedding is the network's output; a clip's, `embedding`, the mean over its examples.

    Args:
        model: backbone with `embedding_size`.
        view: tells the classes.
        main: what the main head tells apart: machine types, the recipe's classes (`labels:`), or nothing: no main head
            and no center loss.
        main_norm: whether the main head has a batch norm like the others (the paper) or a bias (the published code).
        center_weight: of the center loss.
        conditions: whether there are heads for the conditions.
        leave_out: attributes that are no condition of the machine, such as `mic`.
        condition_sum: `heads` averages each head over the examples that have its label, and those means over all heads
            (the code); `samples` adds up the heads of each example and averages over the batch (equation 3).
    """

    def __init__(
        self,
        model: nn.Module,
        view: View,
        *,
        main: Literal["machine", "class", "none"] = "machine",
        main_norm: bool = True,
        center_weight: float = 0.2,
        conditions: bool = True,
        leave_out: list[str] = [],  # noqa: B006
        condition_sum: Literal["heads", "samples"] = "heads",
    ) -> None:
        super().__init__()
        self.model = model
        size = int(model.embedding_size)  # type: ignore[arg-type]
        self._main = {"machine": MACHINE, "class": CLASS, "none": ""}[main]
        self._center_weight, self._condition_sum = center_weight, condition_sum
        if self._main:
            count = class_count(view, self._main)
            self.main = MaskedHeads(size, [count]) if main_norm else nn.Linear(size, count)
            self.center = CenterLoss(size, count)
        self._conditions = _conditions(view, leave_out) if conditions else []
        if self._conditions:
            self.conditions = MaskedHeads(size, [class_count(view, name) for name in self._conditions])
        elif not self._main:
            raise UserError(
                "The task machine_conditions has nothing to learn: no machine's training clips have an attribute of "
                "two values or more.",
                "main: machine or main: class",
            )

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        embedding = self.model(batch.x)
        losses: dict[str, Tensor] = {"loss": embedding.new_zeros(())}
        if self._main:
            losses |= self._main_loss(embedding, batch.labels[self._main])
        if self._conditions:
            labels = torch.stack([batch.labels[name] for name in self._conditions], 1)
            found = self.conditions(embedding, labels)
            clips = found.counts.sum(0)
            if self._condition_sum == "heads":
                loss = (found.loss.sum(0) / clips.clamp_min(1)).mean()
            else:
                loss = found.loss.sum() / len(labels)
            losses["loss"] = losses["loss"] + loss
            losses["condition_loss"] = loss
            for name, pair in zip(self._conditions, torch.stack([found.hit.sum(0), clips], 1), strict=True):
                losses[f"accuracy {name}"] = pair
        return losses

    def _main_loss(self, embedding: Tensor, label: Tensor) -> dict[str, Tensor]:
        center = self.center(embedding, label)
        if isinstance(self.main, MaskedHeads):
            found = self.main(embedding, label[:, None])
            loss, pair = found.loss.sum() / found.counts.sum().clamp_min(1), [found.hit.sum(), found.counts.sum()]
        else:
            logits, known = self.main(embedding), label >= 0
            loss = F.cross_entropy(logits, label, ignore_index=-1, reduction="sum") / known.sum().clamp_min(1)
            pair = [(logits.argmax(1) == label).sum(), known.sum()]
        return {
            "loss": loss + self._center_weight * center,
            "main_loss": loss,
            "center_loss": center,
            "accuracy": torch.stack(pair),
        }


def _conditions(view: View, leave_out: list[str]) -> list[str]:
    """Names of the label sets that are of an attribute of a machine."""
    sets = {name: view.labels.classes(name) for name in view.labels}
    return [name for name, found in sets.items() if found.by == "attribute" and found.attribute not in leave_out]
