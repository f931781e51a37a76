"""A machine's clips in the plane, coloured by the classes that were learnt of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asdcli.cli.figures import new_figure, png

if TYPE_CHECKING:
    from asdcli.stages.looking.cluster_map import ClusterMap

MOST_NAMED = 20  # classes in the legend


def draw(found: ClusterMap) -> bytes:
    """The PNG: training clips by class, triangles where they are of the target domain; test clips in grey below."""
    import matplotlib

    figure = new_figure(9, 6)
    axes = figure.subplots()
    silhouette = "" if found.silhouette is None else f", mean silhouette {found.silhouette:.2f}"
    how = f"{found.projection.upper()}; triangles: target domain"
    title = f"{found.member} {found.machine}: {len(found.names)} classes{silhouette} ({how})"
    axes.set_title(title, fontsize="medium")
    test = found.clips.split == "test"
    axes.scatter(found.points[test, 0], found.points[test, 1], s=8, color="0.8", label="test clips")
    colours = matplotlib.colormaps["hsv"](np.linspace(0, 1, len(found.names), endpoint=False))
    for number, (name, colour) in enumerate(zip(found.names, colours, strict=True)):
        for domain_is_target, marker in ((False, "o"), (True, "^")):
            here = (found.classes == name) & ((found.clips.domain == "target") == domain_is_target)
            label = name if number < MOST_NAMED and not domain_is_target else None
            axes.scatter(found.points[here, 0], found.points[here, 1], s=22, marker=marker, color=colour, label=label)
    axes.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))
    return png(figure)
