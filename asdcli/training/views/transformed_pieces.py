"""A view of transformed waveforms: the class of a piece is what was done to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from asdcli.audio.augment.transformations import add_noise, transformations, transformed_frontend
from asdcli.audio.frontends import FRONTENDS
from asdcli.audio.frontends.logmel import LogMel
from asdcli.audio.frontends.pieces import mean_std
from asdcli.recipe.components import build, check
from asdcli.training.labels import CLASS, LabelSet, LabelSets
from asdcli.training.views.clip_waveforms import ClipWaveforms, PieceCut, WaveformData
from asdcli.training.views.view import Batch, Mix, ViewLabels


class TransformedPieces:
    """Log-mel pieces of clips, `[batch, mels, frames]`, each transformed in one of a few ways; one example per clip.

    Classes for machines that have none: normal sound is transformed, and the class is the transformation (Golan &
    El-Yaniv 2018, of images; Inoue et al. 2020, of machine sounds, by the type of augmentation). In training each
    example draws a transformation, all equally often, and a place for its piece. To embed, a clip is cut into `pieces`
    untransformed pieces at even distances. All pieces lie within their clip, as many samples as the transformation
    takes for `frames` frames, and are brought to mean 0 and standard deviation 1, so that loudness tells nothing.

    Args:
        data: the clips and their stores; the front end has to be `logmel`.
        rows: rows of the clip table to use.
        device: where pieces are wanted.
        frames: length of a piece in frames.
        pieces: pieces per clip when it is embedded.
        pitch_semitones: a class for each of these pitch shifts; 12 semitones are an octave up.
        speed: a class for each of these factors of time stretching; 1.25 plays 5 s in 4 s.
        noise_snr_db: a class for each of these signal-to-noise ratios of added noise.
    """

    needs_features = False
    embedding_options = ("pieces",)
    clip_classes = False  # a class is what was done to a piece, not what its clip is of

    def __init__(
        self,
        data: WaveformData,
        rows: np.ndarray,
        device: torch.device,
        *,
        frames: int = 64,
        pieces: int = 4,
        pitch_semitones: list[float] = [-2.0, 2.0],  # noqa: B006
        speed: list[float] = [0.8, 1.25],  # noqa: B006
        noise_snr_db: list[float] = [5.0],  # noqa: B006
    ) -> None:
        if min(frames, pieces) < 1:
            raise ValueError("frames and pieces must be at least 1")
        self.input_shape = self.shape(build(FRONTENDS, "front end", data.frontend), frames=frames)
        self.transformations = transformations(pitch_semitones, speed, noise_snr_db)
        params = check(FRONTENDS, "front end", data.frontend)
        frontends = [transformed_frontend(params, one).to(device).eval() for one in self.transformations]
        self.pieces = pieces
        self.clips = data.clips.select(rows)
        self.clip = torch.arange(len(rows))
        self.labels = ViewLabels(
            LabelSets({CLASS: LabelSet("example", tuple(map(str, self.transformations)))}),
            {CLASS: torch.zeros(len(rows), dtype=torch.int64)},  # of the clips as they are: not transformed
        )
        self._device = device
        self._waveforms = ClipWaveforms(data, rows, device)
        self.streamed = self._waveforms.streamed
        self._cuts = [PieceCut(frontend, frames, self._waveforms.place) for frontend in frontends]
        lengths, longest = self._waveforms.lengths, max(cut.span for cut in self._cuts)
        if (lengths < longest).any():
            short = int(lengths.argmin())
            raise ValueError(
                f"{self.clips.path[short]} has {lengths[short]} samples, fewer than the {longest} of a piece"
            )

    @staticmethod
    def shape(frontend: Any, *, frames: int = 64, **others: object) -> tuple[int, int]:
        """`(mels, frames)` of one example. Raises ValueError for a front end other than `logmel`."""
        if not isinstance(frontend, LogMel):
            raise ValueError(f"it transforms what the front end logmel hears, not {type(frontend).__name__}")
        return frontend.n_features, frames

    def batch(self, examples: Tensor, generator: torch.Generator, mix: Mix | None = None) -> Batch:
        """One piece of each clip, at a random place and transformed at random; the label is the transformation."""
        label = torch.randint(len(self.transformations), (len(examples),), generator=generator)
        place = torch.rand(len(examples), generator=generator, dtype=torch.float64)
        x = torch.empty(len(examples), *self.input_shape, device=self._device)
        for number in label.unique().tolist():
            chosen = (label == number).nonzero().squeeze(1)
            waves = self._waves(number, examples[chosen], place[chosen])
            snr_db = self.transformations[number].snr_db
            if snr_db is not None:
                waves = add_noise(waves, snr_db, generator)
            x[chosen.to(self._device)] = mean_std(self._cuts[number](waves))
        return Batch({"pieces": x}, self.clip[examples], {CLASS: label.to(self._device)})

    def clip_examples(self, row: int) -> Tensor:
        """The evenly spaced, untransformed pieces of one clip, `[pieces, mels, frames]`."""
        place = torch.linspace(0, 1, self.pieces, dtype=torch.float64)
        return mean_std(self._cuts[0](self._waves(0, torch.full((self.pieces,), row), place)))

    def _waves(self, number: int, rows: Tensor, place: Tensor) -> Tensor:
        """What the front end of a transformation needs of the clips `rows`, from `place` 0 (start) to 1 (end)."""
        cut = self._cuts[number]
        begin = (place * (self._waveforms.lengths[rows] - cut.span)).round().long()
        return self._waveforms.segments(rows, begin + cut.centre, cut)
