"""Self-supervised pre-training on pairs of clips and their mixture."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from asdcli.nn.heads import expander
from asdcli.nn.losses.vicreg import covariance_loss, mixture_distance, variance_loss
from asdcli.training.tasks.task import Alarm, Task
from asdcli.training.views.view import Batch, View, parts_of_mixture

COLLAPSED = 0.1  # mean deviation of embeddings whose goal is 1


class VicRegMixup(Task):
    """The embedding of a mixture is to be the mixture of embeddings, of which VICReg's terms keep the variety.

    EPFL's DCASE 2022 report, equations 1 to 5: with the expander's outputs z, z' and z_l of both clips and of their
    mixture, w_d |z_l - ((1 - r) z + r z')|^2 + w_v (v(z) + v(z')) + w_c (c(z) + c(z')). The phase needs the augment
    `mixup` with `place: features` and `keep: true`. Each part of the batch is one forward pass, whose batch norms and
    covariances see all of it.

    The run log has the mean deviation of z; below a tenth, the embeddings have collapsed to a point.

    Args:
        model: backbone with `embedding_size`.
        view: unused here.
        expand_to: width of the expander's three layers.
        literal_expander: batch norm and ReLU after its last layer too, as the report's words are.
        distance: the first term's squares are averaged over dimensions (`mean`), or summed as equation 1 is printed.
        distance_weight, variance_weight, covariance_weight: w_d, w_v, w_c.
    """

    alarms = (
        Alarm(
            "deviation",
            COLLAPSED,
            "the embeddings collapse: their mean deviation is {value:.3f}, where 1 is wanted. A larger variance_weight "
            "or a lower rate may help.",
        ),
    )

    def __init__(
        self,
        model: nn.Module,
        view: View,
        *,
        expand_to: int = 1280,
        literal_expander: bool = False,
        distance: Literal["mean", "sum"] = "mean",
        distance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.model = model
        size = int(model.embedding_size)  # type: ignore[arg-type]
        self.expander = expander(size, width=expand_to, literal=literal_expander)
        self._distance = distance
        self._weights = distance_weight, variance_weight, covariance_weight

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        first, second, mixed, rate = parts_of_mixture(batch)
        z, other, between = (self.expander(self.model(x)) for x in (first, second, mixed))
        distance = mixture_distance(between, z, other, rate, reduction=self._distance)
        variance = variance_loss(z) + variance_loss(other)
        covariance = covariance_loss(z) + covariance_loss(other)
        terms = zip(self._weights, (distance, variance, covariance), strict=True)
        return {
            "loss": torch.stack([weight * term for weight, term in terms]).sum(),
            "distance": distance,
            "variance": variance,
            "covariance": covariance,
            "deviation": z.detach().float().std(0).mean(),
        }
