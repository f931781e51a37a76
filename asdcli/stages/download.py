"""`asd download`: an edition's zips into the official tree. What is there already is not fetched again."""

from __future__ import annotations

import queue
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asdcli.challenge.editions.counts import PARTS
from asdcli.challenge.editions.edition import Edition, load_common
from asdcli.download.archives import DamagedError, UnsafeError
from asdcli.download.part import Wanted
from asdcli.download.records import Record, file_url, read_record, record_page
from asdcli.download.transport import Line, NotThereError, StoppedError, UnreachableError
from asdcli.download.tree import Tree
from asdcli.download.truth import fetch_truth, gaps, sources
from asdcli.download.verify import Check, check
from asdcli.errors import AsdError, UserError, WorkError, reason, unknown
from asdcli.ui import Progress, Ui
from asdcli.workspace.checksums import mismatch
from asdcli.workspace.files import rename
from asdcli.workspace.places import Workspace

CHOICES = (*PARTS, "truth")
UNPACKED_RATIO = 1.3  # recordings shrink little in a zip


@dataclass(frozen=True)
class Piece:
    """One zip: a machine of a part (`dev`, `train`, `eval`). md5: as known from elsewhere, often empty."""

    part: str
    machine: str
    zip: str
    record: int
    md5: str


@dataclass(frozen=True)
class Listed:
    """A row of `--list`. state: `here`, `linked`, `zip here`, `partly` or `missing`; size in bytes where known."""

    part: str
    machine: str
    file: str
    url: str
    size: int | None
    state: str


def pieces_of(edition: Edition, parts: Iterable[str], machines: Sequence[str] | None = None) -> list[Piece]:
    """The zips of some parts, narrowed to some machines. Raises UserError for a machine that none of them has."""
    archives = {part: edition.downloads[part] for part in parts if part in edition.downloads}
    known = dict.fromkeys(machine for archive in archives.values() for machine in archive.zips)
    for machine in machines or ():
        if machine not in known:
            raise unknown(f"machine of {edition.name} ({', '.join(archives)})", machine, known)
    return [
        Piece(part, machine, name, archive.record, archive.md5.get(machine, ""))
        for part, archive in archives.items()
        for machine, name in archive.zips.items()
        if not machines or machine in machines
    ]


class Job:
    """A download of one edition. zips: a folder of zips fetched by hand; they are used and stay where they are."""

    def __init__(
        self,
        workspace: Workspace,
        ui: Ui,
        edition: Edition,
        line: Line,
        *,
        zips: Path | None = None,
        keep_zips: bool = False,
        jobs: int = 2,
    ) -> None:
        self.workspace, self.ui, self.edition, self.line = workspace, ui, edition, line
        self.tree = Tree(workspace.data(edition.name))
        self.by_hand_folders = [folder for folder in (zips, self.tree.zips) if folder is not None]
        self.keep_zips, self.jobs = keep_zips, jobs

    # --- what is there --------------------------------------------------------------------------------------------

    def state(self, piece: Piece) -> str:
        """See Listed."""
        if self.tree.raw(piece.part).is_symlink():
            return "linked"
        if self.tree.holds(piece.part, piece.machine) or self._counts_are_right(piece):
            return "here"
        if self._by_hand(piece):
            return "zip here"
        return "partly" if any(self.tree.work.glob(f"{piece.zip}*")) else "missing"

    def _counts_are_right(self, piece: Piece) -> bool:
        """A tree that came in another way is complete when all its numbers are known and right."""
        found = check(self.workspace, self.edition, piece.part, piece.machine)
        return found.exact and not found.problems

    def _by_hand(self, piece: Piece) -> Path | None:
        places = (folder / piece.zip for folder in self.by_hand_folders)
        return next((path for path in places if path.is_file()), None)

    def listing(self, parts: Sequence[str], machines: Sequence[str] | None) -> list[Listed]:
        """Every file with size and state: names from the facts, sizes from the host when it answers."""
        pieces = pieces_of(self.edition, parts, machines)
        records, error = self._records(pieces)
        if error:
            self.ui.warn(f"Sizes and checksums are not known now. {error}")
        rows = []
        for piece in pieces:
            files = records[piece.record].files or {}
            size = files[piece.zip].size if piece.zip in files else None
            url = file_url(piece.record, piece.zip)
            rows.append(Listed(piece.part, piece.machine, piece.zip, url, size, self.state(piece)))
        if "truth" in parts:
            state = "missing" if self._truth_gaps() else "here"
            rows.append(Listed("truth", "", "ground truth", truth_page(self.edition), None, state))
        return rows

    def verify(self, parts: Sequence[str], machines: Sequence[str] | None) -> list[Check]:
        """Compare the tree with the edition's numbers, and with what was unpacked here."""
        checks = []
        for piece in pieces_of(self.edition, parts, machines):
            found = check(self.workspace, self.edition, piece.part, piece.machine)
            if not found.problems and self.tree.is_noted(piece.part, piece.machine) and self.state(piece) != "linked":
                short = not self.tree.holds(piece.part, piece.machine)
                problem = (f"files are missing or cut since {piece.zip} was unpacked",)
                found = replace(found, problems=problem if short else ())
            checks.append(found)
        if "truth" in parts:
            checks.append(Check("truth", "", 0, tuple(self._truth_gaps())))
        return checks

    def _truth_gaps(self) -> list[str]:
        place = self.workspace.truth(self.edition.name)
        return gaps(place, self.edition) if place.is_dir() else [f"no folder {place}"]

    # --- bringing it ----------------------------------------------------------------------------------------------

    def run(self, parts: Sequence[str], machines: Sequence[str] | None) -> None:
        """Bring what is missing. Raises WorkError when not all of it could be had; the rest is done then."""
        pieces = pieces_of(self.edition, parts, machines)
        with self.workspace.lock(self.tree.folder):
            self.tree.settle()
            states = {piece: self.state(piece) for piece in pieces}
            self._say_what_is_there(states)
            for piece in pieces:
                if states[piece] == "here":
                    self._put_away(piece)
            missing = [piece for piece, state in states.items() if state not in ("here", "linked")]
            try:
                failures = self._bring(missing) if missing else []
                if "truth" in parts and self._truth_gaps() and not self.line.stop.is_set():
                    failures += self._bring_truth()
            finally:
                self.tree.tidy()
        if self.workspace.sets(self.edition.name):
            self.workspace.remember(edition=self.edition.name)
        if failures:
            left = [piece for piece in missing if not self.tree.holds(piece.part, piece.machine)]
            raise self._failed(failures, left, "truth" in parts and bool(self._truth_gaps()))

    def _say_what_is_there(self, states: dict[Piece, str]) -> None:
        for part in dict.fromkeys(piece.part for piece in states):
            found = [state for piece, state in states.items() if piece.part == part]
            if "linked" in found:
                self.ui.say(f"{part}: linked to {self.tree.raw(part).resolve()}, left as it is.")
            elif "here" in found:
                self.ui.say(f"{part}: {found.count('here')} of {len(found)} machines are here already.")

    def _records(self, pieces: Sequence[Piece]) -> tuple[dict[int, Record], WorkError | None]:
        """Records of the pieces. After one that cannot be had the others are not asked for: they stay unlisted."""
        found = {piece.record: Record(piece.record) for piece in pieces}
        for number in found:
            try:
                found[number] = read_record(number, self.line)
            except (NotThereError, UnreachableError) as error:
                return found, error
        return found, None

    def _bring(self, missing: Sequence[Piece]) -> list[Exception]:
        """Fetch and unpack zips, some at once; returns what failed. Without the host, only zips fetched by hand."""
        records, error = self._records(missing)
        possible = [piece for piece in missing if error is None or self._by_hand(piece)]
        failures: list[Exception] = [error] if error and len(possible) < len(missing) else []
        if error and possible:
            self.ui.warn(f"Sizes and checksums are not known now. {error}")
        return failures + self._bring_from(records, possible)

    def _bring_from(self, records: dict[int, Record], missing: Sequence[Piece]) -> list[Exception]:
        for part, number in dict.fromkeys((piece.part, piece.record) for piece in missing):
            licence = records[number].licence or load_common()["data_licence"]
            self.ui.say(f"{part}: record {number}, licence: {licence} ({record_page(number)})")
        sizes = {piece: (records[piece.record].files or {}).get(piece.zip) for piece in missing}
        known = [file.size for file in sizes.values() if file is not None and file.size is not None]
        self._check_space(known)
        total = sum(known) if len(known) == len(missing) else None
        with self.ui.transfers(self.edition.name, total) as bars:

            def bring(piece: Piece) -> None:
                file = sizes[piece]
                bar = bars(piece.zip, file.size if file else None)
                try:
                    self._bring_one(piece, records[piece.record], bar)
                finally:
                    bar.close()

            return self._at_once(bring, missing)

    def _check_space(self, sizes: Sequence[int]) -> None:
        """A guess at what is needed at most; unpacking looks again, and exactly."""
        zips = sum(sizes) if self.keep_zips else sum(sorted(sizes)[-self.jobs :])
        arrived = sum(path.stat().st_size for path in self.tree.work.glob("*") if path.is_file())
        needed = zips - arrived + UNPACKED_RATIO * sum(sizes)
        place = self.tree.folder
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        if needed > free:
            raise WorkError(
                f"{self.edition.name} needs about {needed / 1e9:.1f} GB; {place} has {free / 1e9:.1f} GB free.",
                "Free some space, take less with --set or --machine, or choose another disk with --root.",
            )

    def _bring_one(self, piece: Piece, record: Record, bar: Progress) -> None:
        file = record.file(piece.zip, piece.md5)
        checksums = {"md5": file.md5} if file.md5 else {}
        archive = self._by_hand(piece)
        if archive is None:
            archive = self.tree.work / piece.zip
            self.line.fetch(Wanted(file.url, archive, file.size, checksums), bar.show)
        elif fault := mismatch(archive, file.size, checksums):
            raise UserError(f"{archive} is not the file of record {piece.record}: {fault}.")
        size = archive.stat().st_size
        try:
            unpacked = self.tree.add(piece.part, piece.machine, archive, lambda done: bar.show(size, "unpacking"))
        except (DamagedError, UnsafeError):
            (self.tree.work / piece.zip).unlink(missing_ok=True)
            raise
        self._put_away(piece)
        if unpacked.left_out:
            self.ui.warn(f"{piece.zip}: {len(unpacked.left_out)} files left out, such as {unpacked.left_out[0]}.")
        how = "md5 is right" if checksums else "no md5 is known, the checksums inside are right"
        self.ui.say(f"{piece.part} {piece.machine}: {piece.zip}, {size / 1e6:.1f} MB, {how}, {unpacked.files} files.")

    def _put_away(self, piece: Piece) -> None:
        """What is left of a zip when its contents are in the tree, or an earlier run was killed just then."""
        archive = self.tree.work / piece.zip
        if self.keep_zips and archive.exists():
            self.tree.zips.mkdir(exist_ok=True)
            rename(archive, self.tree.zips / piece.zip)
        for name in (piece.zip, f"{piece.zip}.part", f"{piece.zip}.part.json"):
            (self.tree.work / name).unlink(missing_ok=True)

    def _at_once(self, work: Callable[[Piece], None], pieces: Sequence[Piece]) -> list[Exception]:
        """Run `work` on all pieces in some threads; returns errors. What concerns all pieces ends all of them."""
        waiting: queue.SimpleQueue[Piece] = queue.SimpleQueue()
        failures: list[Exception] = []
        for piece in pieces:
            waiting.put(piece)

        def worker() -> None:
            while not self.line.stop.is_set():
                try:
                    piece = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    work(piece)
                except StoppedError:
                    return
                except Exception as error:
                    failures.append(error)
                    if isinstance(error, UnreachableError) or not isinstance(error, AsdError):
                        self.line.stop.set()

        threads = [threading.Thread(target=worker, daemon=True) for _ in range(self.jobs)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.1)
        except BaseException:  # Ctrl-C: what has come stays, and the same command goes on from there
            self.line.stop.set()
            for thread in threads:
                thread.join(1)
            raise
        return failures

    def _bring_truth(self) -> list[Exception]:
        self.ui.say(f"truth: {truth_page(self.edition)}. {load_common()['truth_licence']}")
        try:
            place = self.workspace.truth(self.edition.name)
            page = fetch_truth(self.edition, self.line, self.tree.work, place)
        except (AsdError, OSError) as error:
            return [error]
        self.ui.say(f"truth: from {page} to {place}.")
        return []

    def _failed(self, failures: Sequence[Exception], left: Sequence[Piece], truth_left: bool) -> Exception:
        """One error for all that failed: the reasons, and how to bring the rest by hand."""
        for error in failures:
            if not isinstance(error, AsdError | OSError):
                return error  # a mistake of ours
        hints = ["The same command goes on from here."]
        if left:
            hints.append(f"By hand: put these into {self.tree.zips} and run it again:")
            hints += [f"  {file_url(piece.record, piece.zip)}" for piece in left]
        if truth_left:
            place = self.workspace.truth(self.edition.name)
            hints.append(f"By hand: put the ground truth files of {truth_page(self.edition)} into {place}.")
        return WorkError("\n".join(dict.fromkeys(map(_sentence, failures))), "\n".join(hints))


def truth_page(edition: Edition) -> str:
    """Where a person finds the ground truth of an edition's evaluation set."""
    found = sources(edition)
    return found[0].page if found else record_page(edition.truth.record or 0)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"Cannot write {error.filename or 'here'}: {reason(error)}."
    return str(error)
