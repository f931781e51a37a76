"""Where everything lies on disk, what was used last, and who is working on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from asdcli.errors import UserError
from asdcli.workspace.files import write_atomic
from asdcli.workspace.locks import locked
from asdcli.workspace.made import digest

SETS = ("dev", "eval")


def raw_folder(data: Path, set_name: str) -> Path:
    """The folder of a set's machine folders below that of its data set, as in the official tree."""
    return data / f"{set_name}_data" / "raw"


class Workspace:
    """The folder of all work: `--root`, `ASD_ROOT`, or ./asd_work."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # --- places ---------------------------------------------------------------------------------------------------

    def data(self, edition: str) -> Path:
        return self.root / "data" / edition

    def raw(self, edition: str, set_name: str) -> Path:
        return raw_folder(self.data(edition), set_name)

    def truth(self, edition: str) -> Path:
        return self.data(edition) / "truth"

    def store(self, edition: str, set_name: str, machine: str) -> Path:
        return self.root / "store" / edition / set_name / machine

    @property
    def weights(self) -> Path:
        """Published weights of networks."""
        return self.root / "weights"

    def runs(self, recipe: str, edition: str, member: str, machine: str, seed: int) -> Path:
        """The folder of all runs of this name, each in a folder of its own."""
        return self.root / "runs" / recipe / edition / member / machine / f"seed_{seed}"

    def embeddings(self, recipe: str, edition: str, member: str, machine: str, seed: int) -> Path:
        return self.root / "embeddings" / recipe / edition / member / machine / f"seed_{seed}"

    def scores(self, recipe: str, edition: str, member: str, detector: str, seed: int) -> Path:
        return self.root / "scores" / recipe / edition / member / detector / f"seed_{seed}"

    def ensemble(self, name: str) -> Path:
        return self.root / "ensembles" / name

    def submission(self, label: str) -> Path:
        return self.root / "submissions" / label

    # --- what is there --------------------------------------------------------------------------------------------

    def editions(self) -> list[str]:
        """Names under data/ that hold at least one set."""
        folder = self.root / "data"
        if not folder.is_dir():
            return []
        return sorted(path.name for path in folder.iterdir() if self.sets(path.name))

    def sets(self, edition: str) -> list[str]:
        return [name for name in SETS if self.raw(edition, name).is_dir()]

    # --- what was used last ---------------------------------------------------------------------------------------

    def last(self) -> dict[str, str]:
        """The edition, recipe and ensemble used last; empty on a bare root."""
        try:
            loaded = json.loads((self.root / ".last.json").read_text())
        except (OSError, ValueError):
            return {}
        return loaded if isinstance(loaded, dict) else {}

    def remember(self, **used: str) -> None:
        now = self.last()
        if {**now, **used} != now:
            write_atomic(self.root / ".last.json", json.dumps({**now, **used}, indent=1).encode())

    # --- one at a time --------------------------------------------------------------------------------------------

    def bring_up_to_date(self, folder: Path, is_fresh: Callable[[], bool], make: Callable[[], None]) -> bool:
        """Make what lies in `folder` unless it is fresh; returns whether it was.

        While it is made the folder is held against other processes. Only then: a fresh result costs no lock.
        """
        if is_fresh():
            return True
        with self.lock(folder):
            fresh = is_fresh()  # another process may have made it in the meantime
            if not fresh:
                make()
        return fresh

    def lock(self, folder: Path) -> AbstractContextManager[None]:
        """Holds `folder` against other asd processes."""
        return locked(self.root / ".locks" / f"{digest(str(folder.resolve()))}.lock")


def open_root(path: Path) -> Workspace:
    """The workspace at `path`; a file in its place is an error."""
    if path.exists() and not path.is_dir():
        raise UserError(f"The root {path} is a file; --root (or ASD_ROOT) must name a folder.")
    return Workspace(path)
