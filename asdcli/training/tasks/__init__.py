"""Tasks: what a phase optimises, a network with its loss and heads. A new one is one file here and one line below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asdcli.training.tasks.arcface import ArcFaceClassification
from asdcli.training.tasks.branch_arcface import BranchArcFace
from asdcli.training.tasks.frozen import Frozen
from asdcli.training.tasks.layer_features import LayerFeatures
from asdcli.training.tasks.machine_conditions import MachineConditions
from asdcli.training.tasks.mixed_softmax import MixedSoftmax
from asdcli.training.tasks.reconstruction import Reconstruction
from asdcli.training.tasks.softmax import SoftmaxClassification
from asdcli.training.tasks.vicreg_mixup import VicRegMixup

TASKS: dict[str, Callable[..., Any]] = {
    "reconstruction": Reconstruction,
    "arcface": ArcFaceClassification,
    "branch_arcface": BranchArcFace,
    "softmax": SoftmaxClassification,
    "layer_features": LayerFeatures,
    "frozen": Frozen,
    "machine_conditions": MachineConditions,
    "vicreg_mixup": VicRegMixup,
    "mixed_softmax": MixedSoftmax,
}
