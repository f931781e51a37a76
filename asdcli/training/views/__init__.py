"""Views: what one training example is. A new one is one file here and one line below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asdcli.training.views.frame_windows import FrameWindows
from asdcli.training.views.transformed_pieces import TransformedPieces
from asdcli.training.views.waveform_pieces import WaveformPieces
from asdcli.training.views.waveforms import Waveforms
from asdcli.training.views.whole_clips import WholeClips

VIEWS: dict[str, Callable[..., Any]] = {
    "frame_windows": FrameWindows,
    "whole_clips": WholeClips,
    "waveform_pieces": WaveformPieces,
    "transformed_pieces": TransformedPieces,
    "waveforms": Waveforms,
}
