"""The losses of a training by epoch, and below them, if test clips were watched, how well anomalies stand apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asdcli.cli.figures import new_figure, png

if TYPE_CHECKING:
    from asdcli.stages.looking.curves import Curves

LOSSES = {
    "loss": "training",
    "validation_loss": "validation",
    "normal_loss": "normal test clips",
    "anomalous_loss": "anomalous test clips",
}


def draw(curves: Curves) -> bytes:
    """The PNG: epochs to the right; a thin line where a phase begins."""
    watched = curves.has("separability")
    figure = new_figure(9, 6.5 if watched else 4)
    figure.suptitle(curves.title, fontsize="medium")
    panels = figure.subplots(1 + watched, 1, sharex=True, squeeze=False)[:, 0]
    numbers = range(1, len(curves.epochs) + 1)
    for name, label in LOSSES.items():
        if curves.has(name):
            panels[0].plot(numbers, curves.values(name), label=label)
    panels[0].set_ylabel("loss")
    panels[0].legend()
    if watched:
        apart, ranked = panels[1], panels[1].twinx()
        apart.axhline(0, color="0.7", lw=0.8)
        for axes, name, label, colour in (
            (apart, "separability", "separability: anomalous - normal", "tab:purple"),
            (ranked, "auc", "AUC of the loss", "tab:brown"),
        ):
            axes.plot(numbers, curves.values(name), color=colour)
            axes.set_ylabel(label, color=colour)
    for panel in panels:
        for phase, start in curves.phase_starts.items():
            if start:
                panel.axvline(start + 0.5, color="0.6", lw=0.8, ls=":")
                panel.text(start + 0.6, 0.98, phase, transform=panel.get_xaxis_transform(), va="top", fontsize="small")
    panels[-1].set_xlabel("epoch")
    return png(figure)
