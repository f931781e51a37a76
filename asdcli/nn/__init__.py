"""Networks, losses and optimisers. A new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asdcli.nn import optimizers, schedules
from asdcli.nn.dense_autoencoder import DenseAutoencoder

BACKBONES: dict[str, Callable[..., Any]] = {"dense_autoencoder": DenseAutoencoder}

OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "adam": optimizers.adam,
    "adamw": optimizers.adamw,
    "sgd": optimizers.sgd,
}

SCHEDULES: dict[str, Callable[..., Any]] = {"constant": schedules.constant, "cosine": schedules.cosine}
