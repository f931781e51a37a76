"""Mean and standard deviation of a view's examples."""

from __future__ import annotations

import torch
from torch import Tensor

from asdcli.training.views.view import View

EPS = torch.finfo(torch.float64).eps


@torch.no_grad()
def moments(view: View, *, per_feature: bool) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over all examples of a view's clips, float64, clip by clip.

    `[features]` each if per feature, else in the shape of an example. As in scikit-learn's StandardScaler the deviation
    is that of the population, and 1 where values are constant but for rounding.
    """

    def rows(clip: int) -> Tensor:
        examples = view.clip_examples(clip).double()
        return examples.flatten(0, -2) if per_feature else examples

    shift = rows(0).mean(0)  # near the mean, so that squares lose no digits
    count, total, squares = 0, torch.zeros_like(shift), torch.zeros_like(shift)
    for clip in range(len(view.clips)):
        values = rows(clip) - shift
        count, total, squares = count + len(values), total + values.sum(0), squares + values.square().sum(0)
    mean, variance = shift + total / count, (squares / count - (total / count).square()).clamp_min(0)
    constant = variance <= count * EPS * variance + (count * mean * EPS).square()
    return mean, torch.where(constant, 1.0, variance.sqrt())
