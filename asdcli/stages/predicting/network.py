"""The network of a finished run, to embed sounds that lie in no data set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asdcli.audio.clips import ClipTable
from asdcli.detection.bank import Embeddings, joined
from asdcli.errors import UserError
from asdcli.recipe.components import build
from asdcli.recipe.schema import Method
from asdcli.stages.looking.describe import starts
from asdcli.stages.runs import started_from
from asdcli.stages.train import LABELS, WEIGHTS, weight_finder
from asdcli.training.labels import LabelSets
from asdcli.ui import Ui
from asdcli.workspace.made import Made
from asdcli.workspace.places import Workspace

if TYPE_CHECKING:
    import torch

    from asdcli.training.tasks.task import Task
    from asdcli.training.views.view import View


class Network:
    """What a run has learnt.

    Args:
        folder: of the run, or its copy elsewhere.
        method: what it runs for the machine.
        machine: of which the sounds are.
        workspace: where published weights lie, for runs that keep only what moved.
    """

    def __init__(
        self, folder: Path, method: Method, machine: str, device: torch.device, workspace: Workspace, ui: Ui
    ) -> None:
        self._folder, self._method, self._machine, self._device = folder, method, machine, device
        self._workspace, self._ui = workspace, ui

    def embed(self, samples: Sequence[np.ndarray], section: str) -> Embeddings:
        """The embeddings of sounds, `[sounds, ...]` by name, each as of a clip.

        samples: `[n, channels]` each, at 16 kHz in the form of `decode`. Raises UserError for sounds that the recipe
        cannot take, such as those shorter than what its network looks at.
        """
        from asdcli.training.embedding import embedded_parts, pooled_embed

        view = self._view(samples, section)
        return joined([part for _, part in embedded_parts(pooled_embed(self._method, self._task(view)), view)])

    def of_silence(self, length: int) -> tuple[View, Task]:
        """A view of so many samples of silence, which the recipe has to be able to take, and what was trained."""
        view = self._view([np.zeros((length, fewest_channels(self._method.channel)), np.int16)], "00")
        return view, self._task(view)

    def _view(self, samples: Sequence[np.ndarray], section: str) -> View:
        from asdcli.training.sounds import Sounds
        from asdcli.training.views import VIEWS

        clips = _clips(self._machine, section, len(samples))
        data = Sounds(self._method, self._labels, clips, samples, self._device)
        try:
            view: View = build(VIEWS, "view", self._method.view, data, np.arange(len(samples)), self._device)
        except ValueError as error:  # of a front end, for sounds shorter than its window
            raise UserError(str(error)) from None
        return view

    @cached_property
    def _labels(self) -> LabelSets:
        return LabelSets.from_json(json.loads((self._folder / LABELS).read_text()))

    def _task(self, view: View) -> Task:
        """view: of any sounds, which tells the shape of an example."""
        if self._built is None:
            from asdcli.training.run import load_trained

            method, workspace = self._method, self._workspace
            phase, weights = Made(self._folder).read()["all"]["phases"][-1], self._folder / WEIGHTS
            find = weight_finder(workspace, self._ui)
            self._built = load_trained(
                method, phase, view, self._device, weights, find, lambda: started_from(workspace, starts(method))
            )
        return self._built

    _built: Task | None = None


def fewest_channels(channel: int | str) -> int:
    """Of sounds from which this channel, or mix of channels, can be taken."""
    return channel + 1 if isinstance(channel, int) else 2


def _clips(machine: str, section: str, count: int) -> ClipTable:
    return ClipTable.from_columns(
        {
            "path": [f"sound {number + 1}" for number in range(count)],
            "machine": [machine] * count,
            "section": [section] * count,
            "domain": [""] * count,
            "split": ["test"] * count,
            "label": [-1] * count,
            "attributes": [{}] * count,
        }
    )
