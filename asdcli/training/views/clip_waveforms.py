"""Clips as samples, on the device if they fit there, and spectrograms of nothing but the piece that is wanted."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from asdcli.audio.clips import ClipTable
from asdcli.audio.features import samples_at_once
from asdcli.recipe.components import Component
from asdcli.training.holding import Held
from asdcli.training.labels import LabelSets


class WaveformData(Protocol):
    """Clips as samples; the classes; the seed of the run. `waveforms` gives the chosen rows end to end, and lengths."""

    clips: ClipTable
    frontend: Component
    seed: int

    @property
    def labels(self) -> LabelSets: ...

    def waveforms(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...


class ClipWaveforms:
    """The chosen clips, end to end in one place, int16 where they are stored so; what is cut from them, on the device.

    Args:
        data: the clips and their stores.
        rows: rows of the clip table to use; the methods count within these.
        device: where samples are wanted.
    """

    def __init__(self, data: WaveformData, rows: np.ndarray, device: torch.device) -> None:
        samples, lengths = data.waveforms(rows)
        self.lengths = torch.from_numpy(lengths)  # in samples, `[clips]` on the CPU
        self._held = Held(samples, device)
        self._samples, self.streamed, self.place = self._held.values, self._held.streamed, self._held.place
        self._starts = torch.cumsum(self.lengths, 0) - self.lengths

    def whole(self, row: int) -> Tensor:
        """All samples of one clip, full scale 1: `[1, samples]`."""
        return self._held.onto_device(self._whole(row))[None]

    def beginnings(self, rows: Tensor, samples: int) -> Tensor:
        """The first so many samples of some clips, full scale 1; zeros beyond their ends: `[batch, samples]`.

        rows: the clips, `[batch]` on the CPU.
        """
        offset = torch.arange(samples, device=self.place)
        inside = offset < self.lengths[rows].to(self.place)[:, None]
        return self._held.onto_device(self._at(rows, offset) * inside)

    def segments(self, rows: Tensor, anchors: Tensor, cut: PieceCut) -> Tensor:
        """What a cut needs around one anchor in each clip, as a front end has it of the whole clip: `[batch, offsets]`.
        Beyond its ends a clip is zero or mirrored; its mean is taken away where the front end does so.

        Args:
            rows: the clips, `[batch]` on the CPU.
            anchors: a sample of each clip, `[batch]` on the CPU.
        """
        begin = anchors + cut.begin
        inside = (begin >= 0) & (begin + len(cut.offsets) <= self.lengths[rows])
        samples = torch.empty(len(rows), len(cut.offsets), device=self.place)
        for which, way in ((inside, self._within), (~inside, self._beyond)):
            if len(chosen := which.nonzero().squeeze(1)):
                samples[chosen.to(self.place)] = way(rows[chosen], anchors[chosen], cut)
        return self._held.onto_device(samples)

    def _within(self, rows: Tensor, anchors: Tensor, cut: PieceCut) -> Tensor:
        """Segments that lie within their clips, copied run by run."""
        starts = self._starts[rows] + anchors + cut.begin
        runs = self._samples.unfold(0, len(cut.offsets), 1)  # a view: from each sample on
        samples = _full_scale(runs[starts.to(self.place)])
        return self._without_mean(samples, rows) if cut.subtract_mean else samples

    def _beyond(self, rows: Tensor, anchors: Tensor, cut: PieceCut) -> Tensor:
        """Segments of any place, sample by sample."""
        offset = anchors.to(self.place)[:, None] + cut.offsets
        last = self.lengths[rows].to(self.place)[:, None] - 1
        if cut.mirrored:
            offset = last - (last - offset.abs()).abs()
        inside = (offset >= 0) & (offset <= last)
        samples = self._at(rows, offset)
        return (self._without_mean(samples, rows) if cut.subtract_mean else samples) * inside

    def _without_mean(self, samples: Tensor, rows: Tensor) -> Tensor:
        return samples - self._means[rows.to(self.place)][:, None]

    def _at(self, rows: Tensor, offset: Tensor) -> Tensor:
        """Samples so far from the start of each clip, full scale 1, of whatever clip they are: `[batch, offsets]`."""
        index = (self._starts[rows].to(self.place)[:, None] + offset).clamp(0, len(self._samples) - 1)
        return _full_scale(self._samples[index])

    @cached_property
    def _means(self) -> Tensor:
        """Mean of each clip, full scale 1, `[clips]`."""
        return torch.stack([self._whole(row).mean() for row in range(len(self.lengths))])

    def _whole(self, row: int) -> Tensor:
        begin = int(self._starts[row])
        return _full_scale(self._samples[begin : begin + int(self.lengths[row])])


class PieceCut:
    """`frames` frames of a centred front end, from as few samples as they depend on.

    `offsets` are those samples relative to the centre of the first frame; `ClipWaveforms.segments` gives them. The
    front end makes of them also frames that see beyond the cut; calling this leaves them out.
    """

    def __init__(self, frontend: Any, frames: int, place: torch.device) -> None:
        need_centred_frames(frontend)
        self.frontend, self.frames = copy.copy(frontend), frames
        self.subtract_mean = getattr(frontend, "subtract_mean", False)
        self.frontend.subtract_mean = False  # of the clip, not of what is cut from it
        self.mirrored = frontend.pad_mode == "reflect"
        window, hop = frontend.window.numel(), frontend.hop_length
        self._margin = -(-window // (2 * hop))
        self.begin = -self._margin * hop  # the first of the offsets
        self.offsets = torch.arange(self.begin, (frames + self._margin - 1) * hop, device=place)
        self.centre = window // 2  # of the first frame, from its first sample
        self.span = (frames - 1) * hop + window  # from the first sample of the first frame to the last of the last

    @torch.no_grad()
    def __call__(self, segments: Tensor) -> Tensor:
        """`[batch, offsets]` to `[batch, features, frames]`."""
        at_once = max(1, samples_at_once(segments.device) // segments.shape[1])
        parts = [self.frontend(part) for part in segments.split(at_once)]
        # In the layout of a front end's output, whichever it is: what follows adds up in the order of memory.
        spectra = torch.cat([part.mT for part in parts]).mT if parts[0].mT.is_contiguous() else torch.cat(parts)
        return spectra[..., self._margin : self._margin + self.frames]


def need_centred_frames(frontend: Any) -> None:
    """Raise ValueError for a front end from whose frames no pieces can be cut."""
    if not hasattr(frontend, "hop_length"):
        raise ValueError("pieces are cut for front ends with centred frames, logmel and stft")


def _full_scale(samples: Tensor) -> Tensor:
    return samples.float() / 32768 if samples.dtype == torch.int16 else samples
