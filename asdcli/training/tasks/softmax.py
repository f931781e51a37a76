"""Plain classification: a softmax over the classes of normal sound, and how surely it places a clip."""

from __future__ import annotations

import math
import sys

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asdcli.training.labels import CLASS
from asdcli.training.tasks.task import Task, clip_means
from asdcli.training.views.view import Batch, View, class_count

LOG_EPSILON = math.log(sys.float_info.epsilon)


class SoftmaxClassification(Task):
    """Cross-entropy of a linear head over the view's classes; a mixed example counts for both its classes.

    Args:
        model: backbone with `embedding_size`.
        view: tells the number of classes.
    """

    def __init__(self, model: nn.Module, view: View) -> None:
        super().__init__()
        self.model = model
        self.head = nn.Linear(int(model.embedding_size), class_count(view))  # type: ignore[arg-type]

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        logits = self.head(self.model(batch.x))
        loss = F.cross_entropy(logits, batch.label, reduction="none")
        if mixed := batch.mixed:
            other = F.cross_entropy(logits, mixed.labels[CLASS], reduction="none")
            loss = torch.lerp(loss, other, mixed.rate)
        return {"loss": loss.mean(), "accuracy": (logits.argmax(1) == batch.label).float().mean()}

    def embed(self, examples: Tensor, counts: list[int]) -> dict[str, Tensor]:
        """`log_odds`, `log_odds_2021`, `[clips, classes]` each: means over the examples of each clip."""
        logits = self.head(self.outputs(examples))
        odds = {"log_odds": log_odds(logits), "log_odds_2021": log_odds_2021(logits)}
        return {name: clip_means(values, counts) for name, values in odds.items()}


def log_odds(logits: Tensor) -> Tensor:
    """log((1 - p) / p) for each class's softmax probability p: `[..., classes]` to the same shape, float64.

    The anomaly score of the MobileNetV2 baseline of DCASE 2021 and 2022 (Kawaguchi et al. 2021, Dohi et al. 2022) for
    clips of that class. p and 1 - p are never below the machine epsilon, as in the baseline's code; 1 - p is exact
    here, also where p is so near to one that the code's 32 bits leave nothing.
    """
    p, rest = _log_probabilities(logits)
    return rest - p


def log_odds_2021(logits: Tensor) -> Tensor:
    """log((1 - p) - log p): what the published code of 2021 computes, by a misplaced bracket, instead of `log_odds`."""
    p, rest = _log_probabilities(logits)
    return (rest.exp() - p).log()


def _log_probabilities(logits: Tensor) -> tuple[Tensor, Tensor]:
    """log p and log(1 - p) of each class, `[..., classes]`, both at least LOG_EPSILON."""
    p = logits.double().log_softmax(-1)
    # Only the likeliest class can be so near to one that rounding takes all of 1 - p and log p: the others tell both.
    likeliest = p.argmax(-1, keepdim=True)
    others = p.scatter(-1, likeliest, -math.inf).logsumexp(-1, keepdim=True)
    rest = torch.log1p(-p.exp()).scatter(-1, likeliest, others)
    p = p.scatter(-1, likeliest, torch.log1p(-others.exp()))
    return p.clamp_min(LOG_EPSILON), rest.clamp_min(LOG_EPSILON)
