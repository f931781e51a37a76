"""The demo on disk: the official tree of wav files, attribute tables and ground truth, all at once or not at all."""

from __future__ import annotations

import io
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from asdcli.audio.demo.plan import Clip, plan
from asdcli.audio.demo.signals import SAMPLE_RATE_HZ
from asdcli.challenge.csvfile import write_rows
from asdcli.errors import UserError
from asdcli.workspace.files import flush_below, rename
from asdcli.workspace.locks import locked
from asdcli.workspace.places import raw_folder

NAME = "demo"
# Files are taken for fresh by this text: a change of the sounds needs another number of the generator.
_TITLE = "Synthetic demo data: generated, not recorded."
_README = f"""{_TITLE}

No machine was recorded for these clips, and they are no DCASE data set. They are made by a small physical model of
rotating machines (shaft orders, blade, tooth and vane pass, bearing impacts, ringing structures, a factory hall) to
try the tool, in the tree and file names of the newest editions. Results on them say nothing about real machines.

Generator 1, seed {{seed}}. 16 kHz, mono, 16 bits.
Development machines: SynBearing, SynFan (two sections), SynGearbox. Evaluation machine: SynPump.
spd is the shaft's speed in Hz, load goes from 1 (low) to 3 (high), bkg is the factory hall.
"""


def generate_demo(root: Path, seed: int = 0, progress: Callable[[int], None] | None = None) -> None:
    """Make the synthetic demo data below `root/data/demo`; returns at once when they are there and complete.

    `progress` is called with the number of clips done so far, up to `CLIPS`. Equal seeds give equal files. Everything
    is written beside and renamed at the end; of two processes one generates and the other waits. Raises UserError when
    the folder holds something that this function did not make.
    """
    out = root / "data" / NAME
    clips = plan(seed)
    progress = progress or (lambda done: None)
    if not _complete(out, seed, clips):
        with locked(out.parent / f".{NAME}.lock"):
            if not _complete(out, seed, clips):
                _replace(out, seed, clips, progress)
    progress(len(clips))


def _complete(out: Path, seed: int, clips: list[Clip]) -> bool:
    least_bytes = {_path(clip): 2 * clip.rig.seconds * SAMPLE_RATE_HZ for clip in clips}
    least_bytes |= {_attributes(clip): 1 for clip in clips}
    try:
        return (
            (out / "README.txt").read_bytes() == _README.format(seed=seed).encode()
            and (out / "truth").is_dir()
            and all((out / path).stat().st_size >= least for path, least in least_bytes.items())
        )
    except (FileNotFoundError, NotADirectoryError):
        return False


def _replace(out: Path, seed: int, clips: list[Clip], progress: Callable[[int], None]) -> None:
    """Generate beside, then change places with what is there: an incomplete demo or one of another seed."""
    readme = out / "README.txt"
    if os.path.lexists(out) and not (readme.is_file() and readme.read_bytes().startswith(_TITLE.encode())):
        raise UserError(f"{out} holds something that is not the demo.", "Move it away, or choose another --root.")
    partial, old = out.with_name(f".{NAME}.partial"), out.with_name(f".{NAME}.old")
    for leftover in (partial, old):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        _write(partial, seed, clips, progress)
        flush_below(partial)
        if out.exists():
            rename(out, old)
        rename(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _write(out: Path, seed: int, clips: list[Clip], progress: Callable[[int], None]) -> None:
    import soundfile

    pool = ThreadPoolExecutor()
    try:
        sounds = pool.map(lambda clip: clip.samples(seed), clips)
        for done, (clip, samples) in enumerate(zip(clips, sounds, strict=True), start=1):
            path = out / _path(clip)
            path.parent.mkdir(parents=True, exist_ok=True)
            sound = io.BytesIO()
            soundfile.write(sound, samples, SAMPLE_RATE_HZ, subtype="PCM_16", format="WAV")
            path.write_bytes(sound.getvalue())  # which says why if the disk is full; libsndfile does not
            progress(done)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the rest
    _write_attributes(out, clips)
    _write_truth(out, [clip for clip in clips if clip.rig.set_name == "eval" and clip.split == "test"])
    (out / "README.txt").write_text(_README.format(seed=seed))


def _path(clip: Clip) -> Path:
    """Where the clip lies below the demo's folder."""
    return _machine(clip) / clip.split / clip.name


def _attributes(clip: Clip) -> Path:
    """Where the table of its section lies."""
    return _machine(clip) / f"attributes_{clip.rig.section}.csv"


def _machine(clip: Clip) -> Path:
    return raw_folder(Path(), clip.rig.set_name) / clip.rig.machine


def _write_attributes(out: Path, clips: Iterable[Clip]) -> None:
    """`attributes_XX.csv` of each section; test clips of an evaluation set are left out."""
    tables: dict[Path, list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.rig.set_name == "dev" or clip.split == "train":
            tables[out / _attributes(clip)].append(clip)
    for path, rows in tables.items():
        pairs = [column for i in range(1, len(rows[0].attributes) + 1) for column in (f"d{i}p", f"d{i}v")]
        names = [f"{clip.rig.machine}/{clip.split}/{clip.name}" for clip in rows]
        cells = [[cell for pair in clip.attributes.items() for cell in pair] for clip in rows]
        write_rows(path, [["file_name", *pairs], *([name, *own] for name, own in zip(names, cells, strict=True))])


def _write_truth(out: Path, clips: Iterable[Clip]) -> None:
    """Labels and domains of the evaluation test clips, in the official form."""
    from asdcli.challenge.editions.edition import load_edition
    from asdcli.challenge.editions.truth import Truth, write_truth

    sections: dict[tuple[str, str], dict[str, tuple[int, str]]] = defaultdict(dict)
    for clip in clips:
        sections[clip.rig.machine, clip.rig.section][clip.name] = (clip.label, clip.domain)
    write_truth(out / "truth", load_edition(NAME), Truth(sections))
