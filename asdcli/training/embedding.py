"""What a trained network makes of clips."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from asdcli.detection.bank import Embeddings
from asdcli.training.tasks.task import Task, bytes_at_once
from asdcli.training.views.view import View


def embedded_parts(task: Task, view: View) -> Iterator[tuple[int, Embeddings]]:
    """The embeddings of a view's clips, as many at a time as the network sees at once, and how many these are."""
    gathered: list[torch.Tensor] = []
    with torch.inference_mode():
        for row in range(len(view.clips)):
            gathered.append(view.clip_examples(row))
            with_next = sum(one.nbytes for one in gathered) + gathered[-1].nbytes
            if row + 1 < len(view.clips) and with_next <= bytes_at_once(gathered[-1].device):
                continue
            made = task.embed(torch.cat(gathered), [len(examples) for examples in gathered])
            yield len(gathered), {name: value.float().cpu().numpy() for name, value in made.items()}
            gathered = []


def joined(parts: list[Embeddings]) -> dict[str, np.ndarray]:
    """The embeddings of all clips of some parts, `[clips, ...]` by name."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
