"""ArcFace: classification by angle with an additive margin, for examples of one class or mixed from two."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ArcFace(nn.Module):
    """Additive angular margin loss (Deng et al. 2019) with class weights `[classes * centres, embedding]`.

    The logit of an example's own class is s cos(theta + m), of every other class s cos(theta); where theta + m would
    pass pi, the first becomes s (cos(theta) - m sin(pi - m)), so that it goes on falling. Several centres per class
    (Sub-center ArcFace, Deng et al. 2020) let the nearest one count.

    Examples mixed from two clips, x = (1 - r) x_a + r x_b, have two labels. `two_label` weighs two losses,
    (1 - r) L(a) + r L(b), each with the margin on its own class; `soft_label` puts the margin on both classes in
    proportion, s (t cos(theta + m) + (1 - t) cos(theta)) with t the mixed one-hot labels, and takes one soft-label
    cross-entropy.

    Args:
        embedding: size of the embeddings.
        classes: number of classes.
        scale: s.
        margin_rad: m, in radians.
        centres: centres per class; 1 is ArcFace itself.
        mixed: what a mixed example's loss is.
    """

    def __init__(
        self,
        embedding: int,
        classes: int,
        *,
        scale: float = 30.0,
        margin_rad: float = 0.05,
        centres: int = 1,
        mixed: Literal["two_label", "soft_label"] = "two_label",
    ) -> None:
        super().__init__()
        if scale <= 0 or not 0 <= margin_rad < math.pi or centres < 1:
            raise ValueError("scale must be positive, margin_rad within [0, pi), and centres at least 1")
        self.scale, self.margin, self.centres, self.mixed = scale, margin_rad, centres, mixed
        self.weight = nn.Parameter(torch.empty(classes * centres, embedding))
        nn.init.xavier_uniform_(self.weight)

    def cosines(self, x: Tensor) -> Tensor:
        """`[batch, embedding]` to the cosine with each class's nearest centre, `[batch, classes]`."""
        cosine = F.linear(F.normalize(x), F.normalize(self.weight))
        return cosine.unflatten(1, (-1, self.centres)).amax(2)

    def logits(self, x: Tensor, target: Tensor) -> Tensor:
        """Scaled logits `[batch, classes]`, with the margin in proportion to `target` `[batch, classes]`."""
        cosine = self.cosines(x)
        # The floor keeps the gradient of the root finite where an embedding lies on its class weight.
        sine = (1 - cosine.square()).clamp_min(1e-9).sqrt()
        phi = cosine * math.cos(self.margin) - sine * math.sin(self.margin)
        beyond = cosine <= math.cos(math.pi - self.margin)
        phi = torch.where(beyond, cosine - self.margin * math.sin(math.pi - self.margin), phi)
        return self.scale * (target * phi + (1 - target) * cosine)

    def forward(self, x: Tensor, label: Tensor, other: Tensor | None = None, rate: Tensor | None = None) -> Tensor:
        """Mean loss of a batch.

        Args:
            x: `[batch, embedding]`.
            label: class numbers `[batch]`.
            other, rate: class numbers and shares `[batch]` of what was mixed in; left out, nothing was.
        """
        own = self._one_hot(label, x)
        if other is None or rate is None:
            return F.cross_entropy(self.logits(x, own), label)
        if self.mixed == "soft_label":
            target = torch.lerp(own, self._one_hot(other, x), rate[:, None].to(x.dtype))
            return F.cross_entropy(self.logits(x, target), target)
        first = F.cross_entropy(self.logits(x, own), label, reduction="none")
        second = F.cross_entropy(self.logits(x, self._one_hot(other, x)), other, reduction="none")
        return torch.lerp(first, second, rate.to(first.dtype)).mean()

    def _one_hot(self, label: Tensor, x: Tensor) -> Tensor:
        return F.one_hot(label, len(self.weight) // self.centres).to(x.dtype)
