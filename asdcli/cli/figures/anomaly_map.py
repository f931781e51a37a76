"""A clip's spectrogram, and below it, on the same axes, where it is anomalous."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asdcli.cli.figures import new_figure, png

if TYPE_CHECKING:
    from asdcli.stages.looking.anomaly_map import Axes, ClipMap

TICKS_HZ = (250, 500, 1000, 2000, 4000, 8000)


def draw(found: ClipMap) -> bytes:
    """The PNG: seconds to the right, Hz upwards (one row per mel band), a ring around the largest distance."""
    figure = new_figure(9, 6)
    above, below = figure.subplots(2, 1, sharex=True, sharey=True)
    figure.suptitle(_title(found), fontsize="medium")
    frame_s, stride = found.axes.frame_s, found.axes.stride
    bands, frames = found.features.shape
    rows, columns = _edges(bands, 1), _edges(frames, 1) * frame_s
    spectrogram = above.pcolormesh(columns, rows, found.features, cmap="magma", rasterized=True)
    rows, columns = _edges(bands, stride), _edges(frames, stride) * frame_s
    distances = below.pcolormesh(columns, rows, found.distances, cmap="viridis", rasterized=True)
    band, time = np.unravel_index(found.distances.argmax(), found.distances.shape)
    for axes, drawn, label in ((above, spectrogram, found.frontend), (below, distances, "distance")):
        figure.colorbar(drawn, ax=axes, label=label)
        axes.set_ylabel("Hz")
        axes.plot(time * stride * frame_s, band * stride, "o", ms=14, mfc="none", mec="white", mew=1.5, clip_on=False)
    below.set_xlabel("s")
    below.set_yticks(*_ticks(found.axes))
    return png(figure)


def _edges(count: int, step: int) -> np.ndarray:
    """Where cells around every `step`th of `count` places begin and end; the outer ones reach to the border."""
    inner = np.arange(step / 2, count - 0.5, step)
    return np.concatenate([[-0.5], inner[: -(-count // step) - 1], [count - 0.5]])


def _title(found: ClipMap) -> str:
    hz, seconds = found.peak
    verdict = "anomalous" if found.anomalous else "normal"
    return (
        f"{found.clip.path}\n{found.member}/{found.detector}: score {found.score:.4g}, threshold "
        f"{found.threshold:.4g}, called {verdict}; largest at {hz:.0f} Hz, {seconds:.2f} s"
    )


def _ticks(axes: Axes) -> tuple[np.ndarray, list[str]]:
    """Rows at which round frequencies lie, and their names."""
    inside = [hz for hz in TICKS_HZ if axes.hz[0] <= hz <= axes.hz[-1]]
    return np.interp(inside, axes.hz, np.arange(len(axes.hz))), [str(hz) for hz in inside]
