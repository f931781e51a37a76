"""A view of waveforms: pieces of a spectrogram, computed on the device from the clips' samples."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from asdcli.audio.frontends import FRONTENDS
from asdcli.audio.frontends.pieces import mean_std, min_max
from asdcli.recipe.components import build
from asdcli.training.seeds import generator as seeded
from asdcli.training.views.clip_waveforms import ClipWaveforms, PieceCut, WaveformData, need_centred_frames
from asdcli.training.views.view import Batch, Mix, Mixed, ViewLabels

NORMALISE = {"mean_std": mean_std, "min_max": min_max, "none": lambda pieces: pieces}


class WaveformPieces:
    """Pieces of `frames` spectrogram frames, `[batch, features, frames]`; `per_clip` examples of each clip.

    All chosen clips are held as samples, on the device if they fit there. In training a piece is cut at random; only
    the samples under it are transformed, not the whole clip. To embed, a clip is cut into `pieces` pieces at even
    distances, or at every `embed_hop`-th frame.

    Args:
        data: the clips, their stores and their class labels.
        rows: rows of the clip table to use.
        device: where pieces are wanted.
        frames: length of a piece in frames.
        per_clip: examples of each clip.
        redraw: cut anew each time an example is used. Otherwise the places of each clip's pieces are drawn once with
            the run's seed and all differ; a clip with fewer places has as many examples.
        pieces: pieces per clip when it is embedded.
        embed_hop: frames between the starts of two pieces when a clip is embedded; `pieces` is then not used.
        embed_last: with `embed_hop`, whether the last place a clip has for a piece counts too; a clip's only place
            always does.
        pool: neighbouring features averaged into one: 2 makes 512 of 1024 frequency bins.
        normalise: of each piece by its own values: mean and standard deviation, minimum and maximum, or not.
    """

    needs_features = False
    mixes_waveforms = True
    embedding_options = ("pieces", "embed_hop", "embed_last")

    def __init__(
        self,
        data: WaveformData,
        rows: np.ndarray,
        device: torch.device,
        *,
        frames: int = 32,
        per_clip: int = 1,
        redraw: bool = True,
        pieces: int = 10,
        embed_hop: int | None = None,
        embed_last: bool = True,
        pool: int = 1,
        normalise: Literal["mean_std", "min_max", "none"] = "mean_std",
    ) -> None:
        if min(frames, per_clip, pieces, pool, embed_hop or 1) < 1:
            raise ValueError("frames, per_clip, pieces, embed_hop and pool must be at least 1")
        self.frontend = build(FRONTENDS, "front end", data.frontend).to(device).eval()
        self.input_shape = self.shape(self.frontend, frames=frames, pool=pool)
        self.frames, self.pieces, self.pool = frames, pieces, pool
        self._embed_hop, self._embed_last = embed_hop, embed_last
        self.normalise = NORMALISE[normalise]
        self.clips = data.clips.select(rows)
        self.labels = ViewLabels.of_clips(data.labels, self.clips)
        self._waveforms = ClipWaveforms(data, rows, device)
        self.streamed = self._waveforms.streamed
        self._cut = PieceCut(self.frontend, frames, self._waveforms.place)
        lengths = self._waveforms.lengths
        places = self._last_frames(torch.arange(len(rows))) + 1
        if (places < 1).any():
            short = int(lengths.argmin())
            there = int(lengths[short]) // self.frontend.hop_length + 1
            raise ValueError(f"{self.clips.path[short]} has {there} frames, fewer than one piece of {frames} (frames)")
        drawn = [] if redraw else [_draw(data.seed, n, per_clip, row) for row, n in enumerate(places.tolist())]
        self._first = torch.cat(drawn) if drawn else None  # the first frame of each example, where it is drawn once
        counts = torch.tensor(list(map(len, drawn)) or [per_clip] * len(rows), dtype=torch.int64)
        self.clip = torch.arange(len(rows)).repeat_interleave(counts)

    @staticmethod
    def shape(frontend: Any, *, frames: int = 32, pool: int = 1, **others: object) -> tuple[int, int]:
        """`(features, frames)` of one example. Raises ValueError for a front end whose frames are not centred."""
        need_centred_frames(frontend)
        return frontend.n_features // pool, frames

    def batch(self, examples: Tensor, generator: torch.Generator, mix: Mix | None = None) -> Batch:
        """One piece of each example's clip. Of a partner that is mixed in, the piece that begins at the same frame."""
        rows = self.clip[examples]
        first = self._random_frames(rows, generator) if self._first is None else self._first[examples]
        wave, mixed = self._segments(rows, first), None
        device = wave.device
        if mix is not None:
            partner, rate = self.clip[mix.partner], mix.rate.to(device)
            other = self._segments(partner, torch.minimum(first, self._last_frames(partner)))
            wave = torch.lerp(wave, other, rate[:, None])
            mixed = Mixed(partner, self.labels.of(partner, device), rate)
        return Batch({"pieces": self._finish(self._cut(wave))}, rows, self.labels.of(rows, device), mixed)

    @torch.no_grad()
    def clip_examples(self, row: int) -> Tensor:
        """The pieces of one clip that it is embedded by, `[pieces, features, frames]`."""
        spectrum = self.frontend(self._waveforms.whole(row))[0]
        last = spectrum.shape[1] - self.frames
        if self._embed_hop is None:
            starts = np.round(np.linspace(0, last, self.pieces)).astype(int)
        else:
            starts = np.arange(0, max(1, last + self._embed_last), self._embed_hop)
        return self._finish(torch.stack([spectrum[:, s : s + self.frames] for s in starts.tolist()]))

    def _finish(self, pieces: Tensor) -> Tensor:
        if self.pool > 1:
            kept = pieces[:, : pieces.shape[1] // self.pool * self.pool]
            pieces = kept.unflatten(1, (-1, self.pool)).mean(2)
        return self.normalise(pieces)

    def _last_frames(self, rows: Tensor) -> Tensor:
        """The last frame at which a piece of each clip may begin."""
        return self._waveforms.lengths[rows] // self.frontend.hop_length + 1 - self.frames

    def _random_frames(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """A first frame for each clip, uniform over all that leave a whole piece."""
        count = self._last_frames(rows) + 1
        return (torch.rand(len(rows), generator=generator, dtype=torch.float64) * count).long()

    def _segments(self, rows: Tensor, first: Tensor) -> Tensor:
        """Samples under pieces that begin at the frames `first`: `[batch, samples]`."""
        return self._waveforms.segments(rows, first * self.frontend.hop_length, self._cut)


def _draw(seed: int, places: int, count: int, row: int) -> Tensor:
    """`count` different places of a clip for pieces, or all where there are fewer."""
    return torch.randperm(places, generator=seeded(seed, "places", row))[:count]
