"""The one training loop, and what a stage may name. A new task, view or sampler is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asdcli.training.classification import ArcFaceClassification
from asdcli.training.layer_features import LayerFeatures
from asdcli.training.reconstruction import Reconstruction
from asdcli.training.samplers import OneFromTarget, Shuffle
from asdcli.training.softmax import SoftmaxClassification
from asdcli.training.transformed_pieces import TransformedPieces
from asdcli.training.views import FrameWindows
from asdcli.training.waveform_pieces import WaveformPieces
from asdcli.training.whole_clips import WholeClips

TASKS: dict[str, Callable[..., Any]] = {
    "reconstruction": Reconstruction,
    "arcface": ArcFaceClassification,
    "softmax": SoftmaxClassification,
    "layer_features": LayerFeatures,
}

VIEWS: dict[str, Callable[..., Any]] = {
    "frame_windows": FrameWindows,
    "whole_clips": WholeClips,
    "waveform_pieces": WaveformPieces,
    "transformed_pieces": TransformedPieces,
}

SAMPLERS: dict[str, Callable[..., Any]] = {"shuffle": Shuffle, "one_from_target": OneFromTarget}
