"""Where everything lies on disk, what was used last, and who is working on it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from glob import escape
from pathlib import Path

from asdcli.errors import UserError, shown
from asdcli.workspace.files import left_behind, read_json, sweep, write_atomic
from asdcli.workspace.locks import locked
from asdcli.workspace.made import digest

SETS = ("dev", "eval")


def raw_folder(data: Path, set_name: str) -> Path:
    """The folder of a set's machine folders below that of its data set, as in the official tree."""
    return data / f"{set_name}_data" / "raw"


def plain_name(name: str) -> bool:
    """Whether a name can be that of one folder: no path, no place above, nothing that cannot be written."""
    return bool(name) and name not in (".", "..") and name.isprintable() and not set(name) & set("/\\")


class Workspace:
    """The folder of all work: `--root`, `ASD_ROOT`, or ./asd_work."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # --- places ---------------------------------------------------------------------------------------------------

    def _at(self, *names: str) -> Path:
        """A place below the root. Names come from recipes, commands and other files: none may lead out of it."""
        for name in names:
            if not plain_name(name):
                raise UserError(f"'{shown(name)}' cannot be the name of a folder.", "Names hold no / and no \\.")
        return self.root.joinpath(*names)

    def data(self, edition: str) -> Path:
        return self._at("data", edition)

    def raw(self, edition: str, set_name: str) -> Path:
        return raw_folder(self.data(edition), set_name)

    def truth(self, edition: str) -> Path:
        return self.data(edition) / "truth"

    def store(self, edition: str, set_name: str, machine: str) -> Path:
        return self._at("store", edition, set_name, machine)

    @property
    def weights(self) -> Path:
        """Published weights of networks."""
        return self.root / "weights"

    def runs(self, recipe: str, edition: str, member: str, machine: str, seed: int) -> Path:
        """The folder of all runs of this name, each in a folder of its own."""
        return self._at("runs", recipe, edition, member, machine, f"seed_{seed}")

    def embeddings(self, recipe: str, edition: str, member: str, machine: str, seed: int) -> Path:
        return self._at("embeddings", recipe, edition, member, machine, f"seed_{seed}")

    def all_embeddings(self, edition: str, machine: str) -> list[Path]:
        """The folders of a machine's embeddings, of every recipe, member and seed."""
        edition, machine = escape(edition), escape(machine)
        return sorted((self.root / "embeddings").glob(f"*/{edition}/*/{machine}/seed_*"))

    def scores(self, recipe: str, edition: str, member: str, detector: str, seed: int) -> Path:
        return self._at("scores", recipe, edition, member, detector, f"seed_{seed}")

    def ensemble(self, name: str) -> Path:
        return self._at("ensembles", name)

    def submission(self, label: str) -> Path:
        return self._at("submissions", label)

    # --- what is there --------------------------------------------------------------------------------------------

    def editions(self) -> list[str]:
        """Names under data/ that hold at least one set."""
        folder = self.root / "data"
        if not folder.is_dir():
            return []
        return sorted(path.name for path in folder.iterdir() if plain_name(path.name) and self.sets(path.name))

    def sets(self, edition: str) -> list[str]:
        return [name for name in SETS if self.raw(edition, name).is_dir()]

    def unplugged(self, edition: str) -> dict[str, Path]:
        """Sets that are linked to a place that is not there now, and that place."""
        places = {name: self.raw(edition, name) for name in SETS}
        return {name: raw.readlink() for name, raw in places.items() if raw.is_symlink() and not raw.exists()}

    def linked_editions(self) -> list[str]:
        """Names under data/ of which a set is linked to a place that is not there now."""
        folder = self.root / "data"
        names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        return [name for name in names if plain_name(name) and self.unplugged(name)]

    # --- what was used last ---------------------------------------------------------------------------------------

    def last(self) -> dict[str, str]:
        """The edition, recipe and ensemble used last; empty on a bare root."""
        loaded = read_json(self.root / ".last.json")
        known = loaded if isinstance(loaded, dict) else {}
        return {key: value for key, value in known.items() if isinstance(value, str)}

    def remember(self, **used: str) -> None:
        """Where the root cannot be written nothing is remembered: who only reads there need not be able to."""
        now = self.last()
        if {**now, **used} != now:
            with contextlib.suppress(OSError):
                write_atomic(self.root / ".last.json", json.dumps({**now, **used}, indent=1).encode())

    # --- one at a time --------------------------------------------------------------------------------------------

    def bring_up_to_date(self, folder: Path, is_fresh: Callable[[], bool], make: Callable[[], None]) -> bool:
        """Make what lies in `folder` unless it is fresh; returns whether it was.

        While it is made the folder is held against other processes. Only then: a fresh result costs no lock.
        """
        if is_fresh() and not left_behind(folder):
            return True
        with self.lock(folder):
            fresh = is_fresh()  # another process may have made it in the meantime
            if not fresh:
                make()
            sweep(folder)
        return fresh

    def lock(self, folder: Path) -> AbstractContextManager[None]:
        """Holds `folder` against other asd processes."""
        return locked(self.root / ".locks" / f"{digest(str(folder.resolve()))}.lock")


def open_root(path: Path) -> Workspace:
    """The workspace at `path`; a file in its place is an error."""
    if path.exists() and not path.is_dir():
        raise UserError(f"The root {path} is a file; --root (or ASD_ROOT) must name a folder.")
    return Workspace(path)
