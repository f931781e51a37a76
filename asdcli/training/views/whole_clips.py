"""A view of whole clips, for methods that compare places in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from asdcli.training.views.frame_windows import FrameWindows
from asdcli.training.views.view import FeatureData


class WholeClips(FrameWindows):
    """One example per clip, all of its frames: `[batch, frames, features]`.

    Whoever compares clips place by place needs one length. Clips of different lengths are refused and not cut in
    silence: what is cut off cannot be found anomalous, so the recipe has to say it.

    Args:
        data: the clips and their features; the lengths of all of them count, so that parts of the data fit together.
        rows: rows of the clip table to use.
        device: where the frames lie.
        frames: the first so many frames of each clip; None for all, which have to be equally many.
    """

    def __init__(self, data: FeatureData, rows: np.ndarray, device: torch.device, *, frames: int | None = None) -> None:
        lengths = np.concatenate([np.diff(part.offsets) for part in data.features])
        short, long = int(lengths.argmin()), int(lengths.argmax())
        if frames is None and lengths[short] < lengths[long]:
            raise ValueError(
                f"{data.clips.path[short]} has {lengths[short]} frames and {data.clips.path[long]} {lengths[long]}; "
                f"clips of different lengths have no common places, frames: {lengths[short]} or less would cut them"
            )
        chosen = int(lengths[short]) if frames is None else frames
        super().__init__(data, rows, device, frames=chosen, hop=int(lengths[long]))

    @staticmethod
    def shape(frontend: Any, *, frames: int | None = None, **others: object) -> tuple[int, int]:
        """`(frames, features)` of one example; one frame stands for a length that the clips decide."""
        return frames or 1, frontend.n_features
