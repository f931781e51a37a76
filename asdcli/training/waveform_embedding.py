"""From one clip's waveform to what detectors read of it, in one module."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from asdcli.audio.frontends import FRONTENDS
from asdcli.audio.frontends.spectrum import dft_filters
from asdcli.recipe.components import build
from asdcli.recipe.schema import Method
from asdcli.training.embedding import pooled_embed
from asdcli.training.tasks.task import Task


class WaveformEmbedding(nn.Module):
    """A waveform `[1, samples]` to the embeddings of its clip by name, `[1, ...]` each, for exporters to follow.

    What the commands of a run do in three places, and with the spectrum by real filters.

    Args:
        method: what runs for the machine.
        view: of one clip, as long as the waveforms are.
        task: what was trained.
    """

    def __init__(self, method: Method, view: Any, task: Task) -> None:
        super().__init__()
        self.task, self._view, self._embed = task, copy.copy(view), pooled_embed(method, task)
        self._frontend = build(FRONTENDS, "front end", method.frontend).eval()
        if method.frontend.plugin is None:
            self._frontend.window = dft_filters(self._frontend.window)
        if not view.needs_features:
            self._view.frontend = self._frontend

    def forward(self, waveform: Tensor) -> dict[str, Tensor]:
        if self._view.needs_features:
            self._view.frames = self._frontend(waveform)[0].T
        else:
            self._view._waveforms = _Heard(waveform)
        examples = self._view.clip_examples(0)
        return self._embed(examples, [len(examples)])


class _Heard:
    """A waveform in place of the clips that a view cuts from."""

    def __init__(self, waveform: Tensor) -> None:
        self._waveform = waveform

    def whole(self, row: int) -> Tensor:
        return self._waveform
