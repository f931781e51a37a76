"""Samplers: in which order examples become batches. A new one is one file here and one line below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asdcli.training.samplers.one_from_target import OneFromTarget
from asdcli.training.samplers.shuffle import Shuffle

SAMPLERS: dict[str, Callable[..., Any]] = {"shuffle": Shuffle, "one_from_target": OneFromTarget}
