"""Classification of mixtures: fine-tuning after pre-training on them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asdcli.nn.losses.vicreg import mixture_distance
from asdcli.training.labels import CLASS
from asdcli.training.tasks.task import Task
from asdcli.training.views.view import Batch, View, class_count, parts_of_mixture


class MixedSoftmax(Task):
    """Mixed examples get mixed labels, and their embeddings are to be mixtures of embeddings (EPFL, DCASE 2022).

    The loss is the Kullback-Leibler divergence of a classifier's softmax from the mixed one-hot labels, and the
    distance of equation 1 on the network's outputs. The phase needs the augment `mixup` with `place: features` and
    `keep: true`.

    Args:
        model: backbone with `embedding_size`.
        view: tells the number of classes.
        hidden: width of the classifier's hidden layer, with a ReLU.
        distance: see `VicRegMixup`.
        distance_weight: of the distance.
    """

    def __init__(
        self,
        model: nn.Module,
        view: View,
        *,
        hidden: int = 128,
        distance: Literal["mean", "sum"] = "mean",
        distance_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.model = model
        size, classes = int(model.embedding_size), class_count(view)  # type: ignore[arg-type]
        self.classifier = nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, classes))
        self._distance, self._distance_weight, self._classes = distance, distance_weight, classes

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        first, second, mixed, rate = parts_of_mixture(batch)
        z, other, between = (self.model(x) for x in (first, second, mixed))
        logits = self.classifier(between)
        divergence = F.kl_div(logits.log_softmax(1), self._mixed_labels(batch), reduction="batchmean")
        distance = mixture_distance(between, z, other, rate, reduction=self._distance)
        hits = (self.classifier(z.detach()).argmax(1) == batch.label).float().mean()
        loss = divergence + self._distance_weight * distance
        return {"loss": loss, "divergence": divergence, "distance": distance, "accuracy": hits}

    def _mixed_labels(self, batch: Batch) -> Tensor:
        """`[batch, classes]`."""
        mixed = batch.mixed
        assert mixed is not None  # parts_of_mixture has seen it
        own, other = (
            F.one_hot(label, self._classes).to(mixed.rate.dtype) for label in (batch.label, mixed.labels[CLASS])
        )
        return torch.lerp(own, other, mixed.rate[:, None])
