"""Which examples train and which only measure."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from asdcli.errors import UserError
from asdcli.recipe.schema import Stage
from asdcli.training.seeds import derive_seed
from asdcli.training.views.view import View


def split_examples(view: View, stage: Stage, seed: int, name: str) -> tuple[Tensor, Tensor]:
    """Numbers of the training and of the validation examples of a stage."""
    examples = torch.arange(len(view.clip))
    if stage.clips != "all":
        is_target = torch.from_numpy(view.clips.domain == "target")[view.clip]
        examples = examples[is_target == (stage.clips == "target")]  # a clip of unknown domain counts as source
    if not len(examples):
        raise UserError(f"Stage {name} has no training clips (clips: {stage.clips}).")
    if stage.validation is None:
        return examples, examples[:0]
    units = view.clip[examples].numpy() if stage.validation.unit == "clip" else np.arange(len(examples))
    names = np.unique(units)
    if stage.validation.pick == "random":
        names = np.random.default_rng(derive_seed(seed, name, "split")).permutation(names)
    held = max(1, round(stage.validation.fraction * len(names)))
    if held >= len(names):
        raise UserError(f"Stage {name}: {len(names)} {stage.validation.unit}s cannot be split for validation.")
    is_held = torch.from_numpy(np.isin(units, names[len(names) - held :]))
    return examples[~is_held], examples[is_held]
