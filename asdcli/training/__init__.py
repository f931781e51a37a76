"""The one training loop, and what a stage may name. A new task, view or sampler is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asdcli.training.classification import ArcFaceClassification
from asdcli.training.reconstruction import Reconstruction
from asdcli.training.samplers import OneFromTarget, Shuffle
from asdcli.training.views import FrameWindows
from asdcli.training.waveform_pieces import WaveformPieces

TASKS: dict[str, Callable[..., Any]] = {"reconstruction": Reconstruction, "arcface": ArcFaceClassification}

VIEWS: dict[str, Callable[..., Any]] = {"frame_windows": FrameWindows, "waveform_pieces": WaveformPieces}

SAMPLERS: dict[str, Callable[..., Any]] = {"shuffle": Shuffle, "one_from_target": OneFromTarget}
