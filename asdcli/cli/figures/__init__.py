"""Figures of what a stage found: one file per figure, each a function `draw` to the bytes of a PNG.

Drawn with matplotlib's objects alone, which need no screen and leave nothing behind. It is imported here and nowhere
else, when a figure is drawn.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 120


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure of this size in inches whose parts make room for one another."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), dpi=DPI, layout="constrained")


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
