"""Which examples train and which only measure."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from asdcli.errors import UserError
from asdcli.recipe.schema import Phase
from asdcli.training.seeds import derive_seed
from asdcli.training.views.view import View


def split_examples(view: View, phase: Phase, seed: int, name: str) -> tuple[Tensor, Tensor]:
    """Numbers of the training and of the validation examples of a phase."""
    examples = torch.arange(len(view.clip))
    if phase.clips != "all":
        is_target = torch.from_numpy(view.clips.domain == "target")[view.clip]
        examples = examples[is_target == (phase.clips == "target")]  # a clip of unknown domain counts as source
    if not len(examples):
        raise UserError(f"Phase {name} has no training clips (clips: {phase.clips}).")
    if phase.validation is None:
        return examples, examples[:0]
    units = view.clip[examples].numpy() if phase.validation.unit == "clip" else np.arange(len(examples))
    names = np.unique(units)
    if phase.validation.pick == "random":
        names = np.random.default_rng(derive_seed(seed, name, "split")).permutation(names)
    held = max(1, round(phase.validation.fraction * len(names)))
    if held >= len(names):
        raise UserError(f"Phase {name}: {len(names)} {phase.validation.unit}s cannot be split for validation.")
    is_held = torch.from_numpy(np.isin(units, names[len(names) - held :]))
    return examples[~is_held], examples[is_held]
