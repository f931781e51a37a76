"""Which machine of how many is worked on, and how long the others will take by what those before took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asdcli.ui import Ui

LONG_S = 60.0  # work that is worth a line of its own where no bar is drawn


class TimeLeft:
    """Follows pieces of work whose title names one of the machines that a command works on (`Ui.machines`).

    What is left of them is what they have in their title beside the machine: `train ae` of `train ae fan`. The machines
    still to come are taken to last as long as those before on average.
    """

    def __init__(self, ui: Ui, clock: Callable[[], float]) -> None:
        self._ui, self._clock = ui, clock
        self._took: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def work(self, title: str, drawn: bool) -> Iterator[str]:
        """Around one piece of work; gives the title with what is known of those before and after it.

        drawn: whether somebody looks at a bar. Otherwise a sentence says when long work is done.
        """
        machines = list(self._ui.machines)
        machine = next((word for word in title.split() if word in machines), None)
        if machine is None or len(machines) < 2:
            yield title
            return
        kind = " ".join(word for word in title.split() if word != machine)
        number, took = machines.index(machine) + 1, self._took[kind]
        where, after = f"machine {number} of {len(machines)}", len(machines) - number
        began = self._clock()
        yield f"{title} ({', '.join(filter(None, [where, self._of_others(took, after)]))})"
        took.append(self._clock() - began)
        if took[-1] >= LONG_S and not drawn:
            others = self._of_others(took, after)
            self._ui.say(f"{title} ({where}): done in {in_words(took[-1])}{', ' * bool(others)}{others}")

    def _of_others(self, took: list[float], count: int) -> str:
        return f"then about {in_words(count * sum(took) / len(took))}" if took and count else ""


def in_words(seconds: float) -> str:
    """A length of time: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
