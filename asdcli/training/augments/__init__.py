"""Augments: what is done to the examples of a batch in training. A new one is one file here and one line below.

An augment is built with the view of the training examples and called with a function that makes batches, the
examples that the phase trains on, and what that function takes: `augment(make, among, examples, generator, mix=None)`
returns the batch, changed. A phase may have several; each makes its batches of those of the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asdcli.training.augments.mixup import Mixup
from asdcli.training.views.view import Batch

Make = Callable[..., Batch]
"""`make(examples, generator, mix=None)`: a view's `batch`, or what an augment makes of it."""

AUGMENTS: dict[str, Callable[..., Any]] = {"mixup": Mixup}
