"""What a trained network makes of clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch

from asdcli.detection.bank import Embeddings
from asdcli.nn.pooling import CLIP_POOLINGS
from asdcli.recipe.components import build
from asdcli.recipe.schema import Method
from asdcli.training.tasks.task import Task, bytes_at_once
from asdcli.training.views.view import View

EmbedClips = Callable[[torch.Tensor, list[int]], dict[str, torch.Tensor]]
"""What `Task.embed` does."""


def pooled_embed(method: Method, task: Task) -> EmbedClips:
    """What the task makes of some clips, pooled as the recipe says."""
    if (named := method.pooling) is None:
        return task.embed
    return partial(task.pooled, pool=build(CLIP_POOLINGS, "pooling", named))


def embedded_parts(embed: EmbedClips, view: View) -> Iterator[tuple[int, Embeddings]]:
    """The embeddings of a view's clips, as many at a time as the network sees at once, and how many these are."""
    gathered: list[torch.Tensor] = []
    with torch.inference_mode():
        for row in range(len(view.clips)):
            gathered.append(view.clip_examples(row))
            with_next = sum(one.nbytes for one in gathered) + gathered[-1].nbytes
            if row + 1 < len(view.clips) and with_next <= bytes_at_once(gathered[-1].device):
                continue
            made = embed(torch.cat(gathered), [len(examples) for examples in gathered])
            yield len(gathered), {name: value.float().cpu().numpy() for name, value in made.items()}
            gathered = []
