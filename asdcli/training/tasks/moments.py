"""Mean and standard deviation of a view's examples."""

from __future__ import annotations

import torch
from torch import Tensor

from asdcli.training.views.view import View


@torch.no_grad()
def moments(view: View, *, per_feature: bool) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over all examples of a view's clips, float64, clip by clip.

    `[features]` each if per feature, else in the shape of an example. The deviation is that of the population, and 1
    where values are constant but for rounding (scikit-learn's StandardScaler).
    """
    from sklearn.preprocessing import StandardScaler

    first = view.clip_examples(0)
    shape = first.shape[-1:] if per_feature else first.shape[1:]
    scaler = StandardScaler()
    for clip in range(len(view.clips)):
        scaler.partial_fit(view.clip_examples(clip).double().reshape(-1, shape.numel()).cpu().numpy())
    mean, deviation = (torch.from_numpy(values).reshape(shape) for values in (scaler.mean_, scaler.scale_))
    return mean.to(first.device), deviation.to(first.device)
