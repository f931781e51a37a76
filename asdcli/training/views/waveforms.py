"""A view of waveforms, for networks that own their front end."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from asdcli.training.views.clip_waveforms import ClipWaveforms, WaveformData
from asdcli.training.views.view import Batch, Mix, Mixed, ViewLabels

SAMPLE_RATE_HZ = 16_000


class Waveforms:
    """The first `seconds` of each clip as samples, `[batch, samples]`; shorter clips are filled with zeros.

    Goes with the front end `waveform`.

    Args:
        data: the clips, their stores and their class labels.
        rows: rows of the clip table to use.
        device: where examples are wanted.
        seconds: length of an example, at 16 kHz.
    """

    needs_features = False
    mixes_waveforms = True
    embedding_options: tuple[str, ...] = ()

    def __init__(self, data: WaveformData, rows: np.ndarray, device: torch.device, *, seconds: float = 10.0) -> None:
        (self._samples,) = self.input_shape = _shape(seconds)
        self.clips = data.clips.select(rows)
        self.labels = ViewLabels.of_clips(data.labels, self.clips)
        self.clip = torch.arange(len(rows))
        self._waveforms = ClipWaveforms(data, rows, device)
        self.streamed = self._waveforms.streamed

    @staticmethod
    def shape(frontend: Any, *, seconds: float = 10.0, **others: object) -> tuple[int]:
        """`(samples,)` of one example. Raises ValueError for a front end that makes features."""
        if frontend.n_features != 1:
            raise ValueError("it shows the waveform itself; its front end is waveform")
        return _shape(seconds)

    def batch(self, examples: Tensor, generator: torch.Generator, mix: Mix | None = None) -> Batch:
        """The clips, mixed where it is asked for."""
        x, mixed = self._waveforms.beginnings(examples, self._samples), None
        if mix is not None:
            rate = mix.rate.to(x.device)
            x = torch.lerp(x, self._waveforms.beginnings(mix.partner, self._samples), rate[:, None])
            mixed = Mixed(mix.partner, self.labels.of(mix.partner, x.device), rate)
        return Batch({"waveform": x}, examples, self.labels.of(examples, x.device), mixed)

    def clip_examples(self, row: int) -> Tensor:
        """`[1, samples]`."""
        return self._waveforms.beginnings(torch.tensor([row]), self._samples)


def _shape(seconds: float) -> tuple[int]:
    if seconds <= 0:
        raise ValueError(f"seconds is {seconds}; an example has a length")
    return (round(seconds * SAMPLE_RATE_HZ),)
