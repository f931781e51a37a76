"""The one training loop, and what a stage may name. A new task, view or sampler is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asdcli.training.reconstruction import Reconstruction
from asdcli.training.samplers import Shuffle
from asdcli.training.views import FrameWindows

TASKS: dict[str, Callable[..., Any]] = {"reconstruction": Reconstruction}

VIEWS: dict[str, Callable[..., Any]] = {"frame_windows": FrameWindows}

SAMPLERS: dict[str, Callable[..., Any]] = {"shuffle": Shuffle}
