"""Ground truth of evaluation sets, from where the organisers publish it. It may not be shipped with asd."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from asdcli.challenge.editions.counts import clip_count
from asdcli.challenge.editions.edition import Edition
from asdcli.challenge.editions.scorefiles import Unit
from asdcli.challenge.editions.truth import read_truth
from asdcli.download.archives import DamagedError, unpack
from asdcli.download.part import Wanted
from asdcli.download.records import read_record
from asdcli.download.transport import Line, NotThereError
from asdcli.errors import UserError, WorkError, few
from asdcli.workspace.files import flush_below, rename


@dataclass(frozen=True)
class Source:
    """A repository at a commit (HEAD: its newest state), and the folders or the one file of it that are the truth."""

    repository: str
    commit: str
    folders: tuple[str, ...] = ()
    file: str = ""

    @property
    def url(self) -> str:
        return f"https://codeload.github.com/{self.repository}/zip/{self.commit}"

    @property
    def page(self) -> str:
        return f"https://github.com/{self.repository}"

    def place(self, path: tuple[str, ...]) -> tuple[str, ...] | None:
        """Zips of a repository have one folder around everything."""
        inner = path[1:]
        if self.file:
            return inner[-1:] if "/".join(inner) == self.file else None
        return inner if len(inner) > 1 and inner[0] in self.folders else None


def sources(edition: Edition) -> list[Source]:
    """Repositories with the ground truth, the evaluator's first; none for 2020, where a record holds it."""
    truth, found = edition.truth, []
    if truth.repository:
        found.append(Source(truth.repository, truth.commit or "HEAD", truth.folders))
    if truth.also:
        repository, _, rest = truth.also.partition("@")
        commit, _, file = rest.partition(":")
        found.append(Source(repository, commit, file=file))
    return found


def gaps(folder: Path, edition: Edition) -> list[str]:
    """Sections of the evaluation set whose ground truth is not all there."""
    try:
        truth = read_truth(folder, edition)
    except UserError as error:
        return [str(error)]
    missing = []
    for machine, sections in edition.sections["eval"].items():
        for section in sections:
            found = len(truth.clips.get((machine, section), {}))
            number = clip_count(edition, "eval", Unit(machine, section))
            if not found or number not in (None, found):
                missing.append(f"{machine} section {section}: {found} of {number or 'its'} clips")
    return missing


def fetch_truth(edition: Edition, line: Line, work: Path, place: Path) -> str:
    """Bring the ground truth to `place` through the folder `work`; returns the page it came from."""
    staged = work / "truth.unpacking"
    shutil.rmtree(staged, ignore_errors=True)
    try:
        page = _stage(edition, line, staged / "truth.zip", staged / "truth")
        if missing := gaps(staged / "truth", edition):
            raise WorkError(f"The ground truth at {page} is not complete: {few(missing, between='; ')}.")
        _install(staged / "truth", place)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return page


def _stage(edition: Edition, line: Line, archive: Path, folder: Path) -> str:
    """Put the files into `folder`: from a record, or from the first repository that has them."""
    found = sources(edition)
    if not found:
        record = read_record(edition.truth.record or 0, line)
        for name in edition.truth.files:
            file = record.file(name)
            line.fetch(Wanted(file.url, folder / name, file.size, {"md5": file.md5} if file.md5 else {}))
        return record.page
    for source in found[:-1]:
        with suppress(NotThereError, DamagedError):
            _unpack_source(source, line, archive, folder)
            if not gaps(folder, edition):
                return source.page
        shutil.rmtree(folder, ignore_errors=True)
    _unpack_source(found[-1], line, archive, folder)
    return found[-1].page


def _unpack_source(source: Source, line: Line, archive: Path, folder: Path) -> None:
    line.fetch(Wanted(source.url, archive))
    try:
        unpack(archive, folder, source.place)
    finally:
        archive.unlink()


def _install(staged: Path, place: Path) -> None:
    """In one move where there is nothing yet, else file by file over what is there."""
    flush_below(staged)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        rename(staged, place)
        return
    for path in sorted(path for path in staged.rglob("*") if path.is_file()):
        target = place / path.relative_to(staged)
        target.parent.mkdir(parents=True, exist_ok=True)
        rename(path, target)
