"""The official tree of an edition: zips are unpacked beside it and moved in whole, whatever happens in between."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from asdcli.challenge.editions.counts import set_of_part
from asdcli.download.archives import DamagedError, Unpacked, below, unpack
from asdcli.errors import UserError
from asdcli.workspace.files import flush_below, read_json, rename, write_atomic
from asdcli.workspace.places import plain_name, raw_folder


class Tree:
    """data/<edition>: the tree itself, `downloaded.json` (what each zip put where), `zips/` (kept, or put there by
    hand) and, while work goes on, `.download/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / ".download"
        self.zips = folder / "zips"
        self._notes_file = folder / "downloaded.json"
        self._lock = threading.Lock()

    def raw(self, part: str) -> Path:
        return raw_folder(self.folder, set_of_part(part))

    def holds(self, part: str, machine: str) -> bool:
        """Whether a part of a machine was put here by `add` and every file of it is still there, in its full size."""
        note = self._notes().get(f"{part}/{machine}")
        return note is not None and _measure(self.raw(part) / machine, note["entries"]) == (note["files"], note["size"])

    def is_noted(self, part: str, machine: str) -> bool:
        """Whether it was put here by `add`, complete or not by now."""
        return f"{part}/{machine}" in self._notes()

    def add(self, part: str, machine: str, archive: Path, say: Callable[[int], None]) -> Unpacked:
        """Unpack a zip into the tree, all of it or nothing. Raises what `unpack` raises, or UserError."""
        staged = self.work / f"{part}.{machine}.unpacking"
        shutil.rmtree(staged, ignore_errors=True)
        try:
            unpacked = unpack(archive, staged / "tree", below(machine), say)
            if not unpacked.files:
                raise DamagedError(f"{archive.name} holds nothing below a folder {machine}.")
            _keep_foreign_files(self.raw(part) / machine, staged / "tree", unpacked.entries)
            note = {"entries": unpacked.entries, "files": unpacked.files, "size": unpacked.size, "zip": archive.name}
            (staged / "note.json").write_text(json.dumps({"part": part, "machine": machine, "note": note}))
            flush_below(staged)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        ready = staged.with_suffix(".ready")
        rename(staged, ready)
        with self._lock:
            self._place(ready)
        return unpacked

    def settle(self) -> None:
        """Finish or undo what a killed run left: complete stagings are moved in, others removed."""
        for left in self.folder.glob(f".{self._notes_file.name}.*.tmp"):
            left.unlink()
        for ready in sorted(self.work.glob("*.ready")):
            self._place(ready)
        for staged in self.work.glob("*.unpacking"):
            shutil.rmtree(staged)

    def tidy(self) -> None:
        """Leave no empty working folder."""
        if self.work.is_dir() and not any(self.work.iterdir()):
            self.work.rmdir()

    def _place(self, ready: Path) -> None:
        """Move a complete staging in. May be cut off anywhere and called again: every step looks what is left to do.

        The first part of a machine arrives with one rename, a second one with one rename for each entry; which is the
        first is asked under the lock, since evaluation clips and additional training clips share a folder.
        """
        about = read_json(ready / "note.json")
        if not _is_about(about):  # nobody can tell where it belongs
            shutil.rmtree(ready)
            return
        part, machine, note = about["part"], about["machine"], about["note"]
        target = self.raw(part) / machine
        if (ready / "tree").exists() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            rename(ready / "tree", target)
        for name in note["entries"]:
            if (ready / "tree" / name).exists():
                if (target / name).is_dir():
                    rename(target / name, ready / f"old-{name}")
                rename(ready / "tree" / name, target / name)
        notes = {**self._notes(), f"{part}/{machine}": note}
        write_atomic(self._notes_file, json.dumps(notes, indent=1).encode())
        moved = ready.with_suffix(".moved.unpacking")  # a kill while it is removed must not leave half a staging
        rename(ready, moved)
        shutil.rmtree(moved)

    def _notes(self) -> dict[str, Any]:
        loaded = read_json(self._notes_file)
        notes = loaded if isinstance(loaded, dict) else {}
        return {key: note for key, note in notes.items() if _is_note(note)}


def _is_note(note: Any) -> bool:
    return (
        isinstance(note, dict)
        and {"files", "size"} <= note.keys()
        and isinstance(note.get("entries"), list)
        and all(isinstance(name, str) for name in note["entries"])
    )


def _is_about(about: Any) -> bool:
    names = (about.get("part"), about.get("machine")) if isinstance(about, dict) else (None,)
    return all(isinstance(name, str) and plain_name(name) for name in names) and _is_note(about.get("note"))


def _measure(folder: Path, entries: Iterable[str]) -> tuple[int, int]:
    """Number and bytes of the files below some entries of a folder."""
    tops = [folder / name for name in entries]
    files = [path for top in tops for path in ([top] if top.is_file() else top.rglob("*")) if path.is_file()]
    return len(files), sum(path.stat().st_size for path in files)


def _keep_foreign_files(target: Path, staged: Path, entries: Iterable[str]) -> None:
    """Folders are replaced whole, so they may hold nothing that the zip does not."""
    for name in entries:
        for path in (target / name).rglob("*") if (target / name).is_dir() else ():
            if path.is_file() and not (staged / path.relative_to(target)).exists():
                raise UserError(f"{path} does not come from the organisers' zip.", "Move it away, then try again.")
