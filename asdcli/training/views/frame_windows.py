"""A view of features: windows of consecutive frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from asdcli.audio.clips import places
from asdcli.training.holding import Held
from asdcli.training.views.view import Batch, FeatureData, Mix, ViewLabels


class FrameWindows:
    """Windows of `frames` consecutive feature frames, `hop` frames apart: `[batch, frames, features]`.

    The frames of all chosen clips lie in one place once, float32, on the device if they fit there; a batch gathers its
    windows from them, so overlapping windows cost no memory.

    Args:
        data: the clips and their features.
        rows: rows of the clip table to use.
        device: where windows are wanted.
        frames: window length in frames (5 in the auto-encoder baselines of DCASE).
        hop: frames between the starts of two windows.
        embed_hop: the same for a clip that is embedded; `hop` where it is not given.
        labelled: examples carry the classes of their clip. Auto-encoders need none, and machines of a single class have
            none to give.
    """

    needs_features = True
    embedding_options: tuple[str, ...] = ("embed_hop",)

    def __init__(
        self,
        data: FeatureData,
        rows: np.ndarray,
        device: torch.device,
        *,
        frames: int = 5,
        hop: int = 1,
        embed_hop: int | None = None,
        labelled: bool = False,
    ) -> None:
        self._embed_hop = hop if embed_hop is None else embed_hop
        if min(frames, hop, self._embed_hop) < 1:
            raise ValueError("frames, hop and embed_hop must be at least 1")
        self.clips = data.clips.select(rows)
        stores = data.features
        chosen = [(stores[store], clip) for store, clip in places(rows, [len(part.offsets) - 1 for part in stores])]
        lengths = np.array([part.offsets[clip + 1] - part.offsets[clip] for part, clip in chosen])
        if len(rows) and lengths.min() < frames:
            short = self.clips.path[int(lengths.argmin())]
            raise ValueError(f"{short} has {lengths.min()} frames, fewer than one window of {frames}")
        ends = np.cumsum(lengths)
        n_features = stores[0].frames.shape[1]
        together = data.together((part.clip(clip) for part, clip in chosen), (int(ends[-1]), n_features), np.float32)
        self._held = Held(together, device)
        self.frames, self.streamed = self._held.values, self._held.streamed
        self.input_shape = (frames, n_features)
        self._bounds = [(end - n, end - frames + 1) for n, end in zip(lengths.tolist(), ends.tolist(), strict=True)]
        starts = [np.arange(first, end, hop) for first, end in self._bounds]
        self.clip = torch.from_numpy(np.repeat(np.arange(len(starts)), [len(s) for s in starts]))
        self._starts = torch.from_numpy(np.concatenate(starts)).to(self._held.place)
        self._window = torch.arange(frames, device=self._held.place)
        self.labels = ViewLabels.of_clips(data.labels, self.clips) if labelled else ViewLabels(None, {})

    @staticmethod
    def shape(frontend: Any, *, frames: int = 5, **others: object) -> tuple[int, int]:
        """`(frames, features)` of one example."""
        return frames, frontend.n_features

    def batch(self, examples: Tensor, generator: torch.Generator, mix: Mix | None = None) -> Batch:
        """The windows with these numbers; `generator` is for views that crop or augment."""
        x = self._gather(self._starts[examples.to(self._starts.device)])
        clip = self.clip[examples]
        return Batch({"windows": x}, clip, self.labels.of(clip, x.device))

    def clip_examples(self, row: int) -> Tensor:
        """All windows of one clip, `embed_hop` frames apart: `[windows, frames, features]`."""
        return self._gather(torch.arange(*self._bounds[row], self._embed_hop, device=self._starts.device))

    def _gather(self, starts: Tensor) -> Tensor:
        return self._held.onto_device(self.frames[starts[:, None] + self._window])
