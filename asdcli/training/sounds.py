"""Sounds that lie in no data set, as views draw from clips."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from asdcli.audio.clips import ClipTable
from asdcli.audio.endtoend import in_memory
from asdcli.audio.features import Features
from asdcli.audio.frontends import FRONTENDS
from asdcli.audio.store import scaled
from asdcli.recipe.components import build
from asdcli.recipe.schema import Method
from asdcli.training.labels import LabelSets


class Sounds:
    """Some sounds in memory, in place of the stores of a data set.

    Args:
        method: what runs for the machine; its channel and front end count.
        labels: the classes that a run has learnt.
        clips: what is known of the sounds.
        samples: of each sound, `[n, channels]` at 16 kHz in the form of `decode`.
        device: where features are computed.
    """

    def __init__(
        self, method: Method, labels: LabelSets, clips: ClipTable, samples: Sequence[np.ndarray], device: torch.device
    ) -> None:
        self.clips, self.labels, self.frontend, self.seed = clips, labels, method.frontend, 0
        self._waves = [scaled(one, method.channel) for one in samples]
        self._device = device

    together = staticmethod(in_memory)

    def waveforms(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Samples of the chosen sounds end to end, full scale 1, and the length of each."""
        parts = [self._waves[row] for row in rows.tolist()]
        return np.concatenate(parts), np.array([len(part) for part in parts])

    @cached_property
    def features(self) -> list[Features]:
        """The front end's features, as of one store."""
        module = build(FRONTENDS, "front end", self.frontend).to(self._device).eval()
        with torch.inference_mode():
            frames = [module(torch.from_numpy(wave)[None].to(self._device))[0].T.cpu().numpy() for wave in self._waves]
        offsets = np.concatenate([[0], np.cumsum([len(one) for one in frames])]).astype(np.int64)
        return [Features(np.concatenate(frames), offsets, "")]
