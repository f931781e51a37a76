"""Watching over-generalisation: how far anomalous test clips stand from normal ones while a network trains.

An auto-encoder that learns to copy its input reconstructs anomalies as well as normal sounds: the training loss goes on
falling while the separability stays or falls. No decision of the training uses what is seen here.
"""

from __future__ import annotations

import numpy as np
import torch

from asdcli.audio.clips import ClipTable
from asdcli.challenge.metrics.official import auc, separability
from asdcli.training.labels import UNSEEN
from asdcli.training.seeds import generator
from asdcli.training.tasks.task import Task
from asdcli.training.views.view import View


def rows_to_watch(clips: ClipTable, count: int, classes: np.ndarray | None = None) -> np.ndarray:
    """Rows of at most `count` test clips of known label, half of each, evenly spread; empty if a label is absent.

    classes: number of each clip's class, where there is a loss by class; none has a clip of a class never trained.
    """
    known = (clips.split == "test") & (True if classes is None else classes != UNSEEN)
    halves = [np.flatnonzero(known & (clips.label == label)) for label in (0, 1)]
    sizes = [min(count // 2, len(half)) for half in halves]
    if min(sizes) == 0:
        return np.empty(0, dtype=np.int64)
    picked = [np.linspace(0, len(half) - 1, size).astype(int) for half, size in zip(halves, sizes, strict=True)]
    return np.concatenate([half[places] for half, places in zip(halves, picked, strict=True)])


class Watch:
    """The loss of each watched clip, summed up after every epoch.

    Args:
        view: the watched test clips.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self._examples = [torch.nonzero(view.clip == row).flatten() for row in range(len(view.clips))]

    @torch.no_grad()
    def look(self, task: Task) -> dict[str, float]:
        """Mean loss of normal and of anomalous clips, `separability` (their difference), and the AUC of the loss."""
        task.eval()
        losses = np.array([self._loss(task, row) for row in range(len(self._examples))])
        labels = self.view.clips.label
        return {
            "normal_loss": float(losses[labels == 0].mean()),
            "anomalous_loss": float(losses[labels == 1].mean()),
            "separability": separability(labels, losses),
            "auc": auc(labels, losses),
        }

    def _loss(self, task: Task, row: int) -> float:
        batch = self.view.batch(self._examples[row], generator("watch", row))
        return float(task(batch, generator("watch", "task", row))["loss"])
