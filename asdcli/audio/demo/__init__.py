"""Synthetic demo data: sounds of machines by a small physical model, in the tree and names of the newest editions.

Shafts turn with a little wander (`signals`), machines make tones and forces out of that (`machines`), faults change
them (`faults`), structures ring and the factory hums (`rigs`, `scene`), and it all becomes files (`plan`, `writer`).
"""

from asdcli.audio.demo.plan import CLIPS
from asdcli.audio.demo.writer import generate_demo

__all__ = ["CLIPS", "generate_demo"]
