"""Damaged sound, labels and state, over and over: every reader gives a right answer or one sentence.

python bench/fuzz.py [minutes] [seed]
"""

from __future__ import annotations

import io
import json
import logging
import random
import shutil
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from helpers import invoke, write_tree

from asdcli.audio import cachefile
from asdcli.audio.clips import ClipTable, scan_clips
from asdcli.audio.decode import decode
from asdcli.audio.packing import build_store, whole_store
from asdcli.audio.store import StaleStoreError, Store
from asdcli.challenge.editions.attributes import read_attributes
from asdcli.challenge.editions.clipnames import parse_clip_name
from asdcli.challenge.editions.edition import edition_names, load_edition
from asdcli.challenge.editions.scorefiles import read_values
from asdcli.challenge.editions.truth import read_truth
from asdcli.download.tree import Tree
from asdcli.errors import AsdError
from asdcli.scores.shares import FILE, Shares, read_shares, write_shares
from asdcli.training.checkpoint import Checkpoint
from asdcli.training.labels import LabelSet, LabelSets
from asdcli.training.runlog import RunLog
from asdcli.workspace.checksums import remembered_sha256
from asdcli.workspace.files import read_json
from asdcli.workspace.made import Made, sealed, unsealed
from asdcli.workspace.places import Workspace

RATE = 16_000
OWN = load_edition("own", own=True)
JSONS = (b"[5]", b'{"all": 5}', b'{"all": {"files": [5]}}', b"null", b"[" * 100_000, b'{"a": ' * 50_000, b'""', b"")
Target = Callable[[Path, random.Random], str]
"""Damages something in a folder and reads it; returns what came of it, `right` or `refused` among others. Raises
AssertionError for a wrong answer."""


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Cut, zeroed, flipped, grown, or of another type."""
    data = bytearray(content)
    kind = draw.randrange(7)
    at = draw.randrange(len(data) + 1)
    if kind == 0:
        del data[at:]
    elif kind == 1:
        data[at : at + draw.randrange(1, 64)] = bytes(min(draw.randrange(1, 64), len(data) - at))
    elif kind == 2 and data:
        for _ in range(draw.randrange(1, 9)):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    elif kind == 3:
        data[at:at] = draw.randbytes(draw.randrange(1, 40))
    elif kind == 4 and len(data) > 60:
        place = draw.randrange(60)  # a header says something else
        data[place : place + 4] = struct.pack(
            "<I", draw.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1, draw.randrange(2**32)])
        )
    elif kind == 5:
        return draw.choice(JSONS)
    else:
        return draw.randbytes(draw.randrange(200))
    return bytes(data)


def _answer(read: Callable[[], object]) -> tuple[str, object]:
    try:
        return "read", read()
    except AsdError as error:
        said = str(error)
    if "\n" in said:
        raise AssertionError(said)
    return "refused", None


SOUNDS = [
    *(("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "MS_ADPCM"), ("WAV", "GSM610"), ("RF64", "PCM_24")),
    *(("W64", "PCM_16"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("WAVEX", "PCM_32")),
]


def sound(folder: Path, draw: random.Random) -> str:
    """Decoding; damage that leaves the sizes as they are may change samples, but not their number."""
    form, subtype = draw.choice(SOUNDS)
    buffer = io.BytesIO()
    x = np.random.default_rng(draw.randrange(99)).uniform(-0.5, 0.5, (draw.randrange(1, 900), draw.choice([1, 2])))
    x = x[:, :1] if subtype == "GSM610" else x
    soundfile.write(buffer, x, RATE, format=form, subtype=subtype)
    path = folder / "x.wav"
    path.write_bytes(damaged(buffer.getvalue(), draw))
    how, clip = _answer(lambda: decode(path))
    if clip is not None:
        assert len(clip.samples)  # type: ignore[attr-defined]
        assert np.isfinite(clip.samples.astype(np.float64)).all()  # type: ignore[attr-defined]
    return how


def truncation(folder: Path, draw: random.Random) -> str:
    """A file that is cut never gives fewer samples without a word."""
    form, subtype = draw.choice(SOUNDS)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.random.default_rng(1).uniform(-0.5, 0.5, 4000), RATE, format=form, subtype=subtype)
    path = folder / "x.wav"
    path.write_bytes(buffer.getvalue())
    whole = decode(path).samples
    path.write_bytes(buffer.getvalue()[: draw.randrange(len(buffer.getvalue()))])
    how, clip = _answer(lambda: decode(path))
    assert clip is None or len(clip.samples) == len(whole), f"{form} {subtype}"  # type: ignore[attr-defined]
    return how


def _table(count: int) -> ClipTable:
    columns = {name: ["00"] * count for name in ("section", "domain", "split")}
    columns |= {"machine": ["fan"] * count, "path": [f"fan/train/{i}.wav" for i in range(count)]}
    return ClipTable.from_columns(columns | {"label": [0] * count, "attributes": [{}] * count})  # type: ignore[dict-item]


def store(folder: Path, draw: random.Random) -> str:
    """A damaged store is packed again to the same bytes, or was what it was."""
    raw, out = folder / "raw", folder / "store" / "fan"
    if not out.is_dir():
        (raw / "fan" / "train").mkdir(parents=True)
        for i in range(3):
            x = np.random.default_rng(i).uniform(-0.5, 0.5, 300) * (1e-5 if i == 1 else 1)
            soundfile.write(raw / "fan" / "train" / f"{i}.wav", x, RATE, subtype="FLOAT")
        build_store(raw, _table(3), out)
        for name in ("index.json", "samples.bin"):
            (folder / name).write_bytes((out / name).read_bytes())
    victim = draw.choice(["index.json", "samples.bin"])
    content = damaged((out / victim).read_bytes(), draw)
    (out / victim).write_bytes(content)
    try:
        Store.open(out)
        how = "read"
    except StaleStoreError:
        how = "redone"
    built = build_store(raw, _table(3), out)
    whole_store(raw, built, out)
    assert (out / "samples.bin").read_bytes() == (folder / "samples.bin").read_bytes()
    return how


def features(folder: Path, draw: random.Random) -> str:
    """A note that does not fit the bytes of a cache is never believed."""
    path, frames = folder / "x.f32", np.arange(60, dtype="<f4").reshape(20, 3)
    offsets = np.array([0, 5, 12, 20])
    path.write_bytes(frames.tobytes())
    cachefile.write_note(path, [cachefile.zlib.crc32(frames[a:b].tobytes()) for a, b in ((0, 5), (5, 12), (12, 20))])
    victim = draw.choice([path, path.with_suffix(".json")])
    victim.write_bytes(damaged(victim.read_bytes(), draw))
    content = path.read_bytes()
    if len(content) != frames.nbytes:
        return "redone"
    bad = cachefile.damaged(path, np.frombuffer(content, "<f4").reshape(20, 3), offsets)
    assert bad or content == frames.tobytes()
    return "redone" if bad else "read"


def made(folder: Path, draw: random.Random) -> str:
    """`made.json` and a file it names: never fresh with other bytes."""
    note, file = Made(folder), folder / "weights"
    file.write_bytes(b"weights of a network")
    note.write("abc", ["weights"], seed=3)
    victim = draw.choice([note.path, file])
    victim.write_bytes(damaged(victim.read_bytes(), draw))
    fresh = note.is_fresh("abc")
    whole = file.read_bytes() == b"weights of a network"
    assert not fresh or whole or not note.read()["all"].get("written"), "other bytes are fresh"
    note.damaged("abc")
    return "read" if fresh else "redone"


def checkpoint(folder: Path, draw: random.Random) -> str:
    state = {"phase": "a", "task": {"w": torch.arange(20.0)}}
    saved = Checkpoint(folder / "checkpoint.pt", "f")
    saved.save(state)
    content = saved.path.read_bytes()
    saved.path.write_bytes(damaged(content, draw))
    loaded = saved.load()
    assert loaded is None or saved.path.read_bytes() == content
    return "redone" if loaded is None else "read"


def notes(folder: Path, draw: random.Random) -> str:
    """What was used last, remembered checksums, what a download noted."""
    workspace, file = Workspace(folder), folder / "file"
    file.write_bytes(b"content")
    right = remembered_sha256(file, folder / ".sha256.json")
    workspace.remember(edition="demo", recipe="mine")
    tree = Tree(folder / "data")
    tree.folder.mkdir(exist_ok=True)
    (tree.folder / "downloaded.json").write_text(
        '{"dev/fan": {"entries": ["train"], "files": 1, "size": 1, "zip": "x"}}'
    )
    for path in (folder / ".sha256.json", folder / ".last.json", tree.folder / "downloaded.json"):
        path.write_bytes(damaged(path.read_bytes(), draw))
    assert all(isinstance(value, str) for value in workspace.last().values())
    tree.holds("dev", "fan")
    assert remembered_sha256(file, folder / ".sha256.json") == right
    return "read"


def labels(folder: Path, draw: random.Random) -> str:
    """Names of clips, in and out of trees, and tables of attributes, scores and truth."""
    alphabet = "abAB01_-. /\\\n\x1b\u202e正　🎵\udc90"
    words = ["section_00_source_train_normal_0001", "anomaly", "normal_id_00_00000001", "test", "section_01_0001"]
    name = "".join(draw.choice([draw.choice(words), draw.choice(alphabet)]) for _ in range(draw.randrange(1, 6)))
    ending = draw.choice([".wav", ".WAV", ".flac", ".txt", ""])
    edition = load_edition(draw.choice([*edition_names(), "own"]), own=True)
    place = draw.choice(["train", "test", "test/anomaly", "Test/Normal", "source_test", "supplemental", ""])
    clip = parse_clip_name(edition, draw.choice(["dev", "eval"]), place, name + ending)
    assert clip is None or (clip.label in (-1, 0, 1) and len(clip.section) == 2)
    path = folder / "raw" / "fan" / "test" / (name.replace("/", "") + "x.wav")
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.iterdir():
        old.unlink()
    path.touch()
    how, found = _answer(lambda: scan_clips(folder / "raw", OWN, "dev"))
    if found is not None:
        found[0].path[0].encode()  # type: ignore[index]
        assert found[0].path[0].isprintable() or "\u3000" in name  # type: ignore[index]
    table = folder / "attributes_00.csv"
    table.write_bytes(damaged(b"file_name,d1p,d1v\nfan/train/a.wav,m-n,X\nb.wav,m-n,Y\n", draw))
    _answer(lambda: read_attributes(table))
    table.write_bytes(damaged(b"a.wav,0.5\nb.wav,1.25\n", draw))
    _answer(lambda: read_values(table))
    truth = folder / "ground_truth_fan_section_00_test.csv"
    truth.write_bytes(damaged(b"a.wav,0\nb.wav,1\n", draw))
    _answer(lambda: read_truth(folder, OWN))
    return how


def runs(folder: Path, draw: random.Random) -> str:
    """What lies beside the weights of a run, and the weights of a fusion: as they were written, or not read."""
    log, classes = RunLog(folder / "log.jsonl"), LabelSets({"class": LabelSet("section", ("00", "01"))})
    log.cut(0)
    for epoch in range(3):
        log.write({"phase": "a", "epoch": epoch, "loss": 0.5, "alarms": ["the loss is large"]})
    (folder / "labels.json").write_text(json.dumps(classes.to_json()))
    (folder / "run.json").write_text(json.dumps(sealed({"machines": ["fan"], "parts": {"seed": 0}})))
    write_shares(folder, Shares({"a": 0.25, "b": 0.75}, {"fan": {"a": 1.0}}), ["a", "b"], {"normalisation": "train"})
    names = ("log.jsonl", "labels.json", "run.json", FILE)
    victim = folder / draw.choice(names)
    victim.write_bytes(draw.choice([damaged, retyped])(victim.read_bytes(), draw))
    log.alarms()
    unsealed(read_json(folder / "run.json"))
    how = "read"
    try:
        read = LabelSets.from_json(read_json(folder / "labels.json"))
        read.get("class", classes["class"]).numbers(_table(2))
    except ValueError:
        how = "redone"
    refused, found = _answer(lambda: read_shares(folder / FILE))
    if found is not None:
        refused, _ = _answer(lambda: found[0].check(["a", "b"]))  # type: ignore[index]
    return how if refused == "read" else refused


def root(folder: Path, draw: random.Random) -> str:
    """Any file of state under a root: the next command makes the same scores again, or refuses in one sentence."""
    kept, here = folder / "kept", folder / "root"
    chosen = ("--recipe", "baseline_ae", "--profile", "smoke", "--data", "demo", "--device", "cpu", "-m", "SynFan")
    if not kept.is_dir():
        write_tree(here, train=4, test=2, seconds=0.3)
        invoke("ensemble", "--root", here, *chosen, "--grid", "--step", "0.5")
        here.rename(kept)
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(kept, here)
    state = [path for path in sorted(here.rglob("*")) if path.is_file() and path.relative_to(here).parts[0] != "data"]
    victim = draw.choice([path for path in state if path.suffix not in (".csv", ".lock")])
    victim.write_bytes(draw.choice([damaged, retyped])(victim.read_bytes(), draw))
    for name in ("scores", "embeddings", "runs")[: draw.randrange(4)]:  # so that what is before them is read
        if name not in victim.parts:
            shutil.rmtree(here / name)
    how, _ = _answer(lambda: invoke("evaluate", "--root", here, *chosen, "--bootstrap", "0"))
    _answer(lambda: invoke("runs", "--root", here))
    _answer(lambda: invoke("plot", "curves", "--root", here, *chosen[:6], *chosen[8:]))
    if how == "read":
        for path in (path for name in ("scores", "ensembles") for path in (kept / name).rglob("*.csv")):
            assert (here / path.relative_to(kept)).read_bytes() == path.read_bytes(), f"{victim}: {path}"
    return how


def retyped(content: bytes, draw: random.Random) -> bytes:
    """A JSON document of which one value is of another type, or gone; other content is cut."""
    try:
        document = json.loads(content)
    except ValueError:
        return content[: draw.randrange(len(content) + 1)]
    holder: dict[Any, Any] | list[Any] = [document]
    key: Any = 0
    while isinstance(inner := holder[key], dict | list) and inner and draw.random() < 0.8:
        holder, key = inner, draw.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
    if isinstance(holder, dict) and draw.random() < 0.3:
        del holder[key]
    else:
        holder[key] = draw.choice([5, "x", [], {}, None, [5], {"a": 5}, True, "../../x", -1, 1e300])
    for part in (document, *(document.values() if isinstance(document, dict) else ())):
        if isinstance(part, dict):
            part.pop("check", None)  # as older versions left it, without a hash of itself
    return json.dumps(document).encode()


TARGETS: tuple[Target, ...] = (sound, truncation, store, features, made, checkpoint, notes, labels, runs)


def campaign(
    seed: int, going_on: Callable[[int], bool], targets: Sequence[Target] = TARGETS
) -> Counter[tuple[str, str]]:
    """Damage and read as long as `going_on(inputs so far)` says; what came of it, by reader. A fault names its seed."""
    counts: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as name:
        number = 0
        while going_on(number):
            target = targets[number % len(targets)]
            folder = Path(name) / target.__name__
            folder.mkdir(exist_ok=True)
            try:
                counts[target.__name__, target(folder, random.Random(f"{seed} {number}"))] += 1
            except Exception as error:
                raise RuntimeError(f"{target.__name__}, seed {seed}, input {number}") from error
            number += 1
    return counts


def rows(counts: Counter[tuple[str, str]]) -> Iterable[str]:
    for (target, how), count in sorted(counts.items()):
        yield f"{target:12} {how:18} {count:9,}"
    yield f"{'all':12} {'':18} {counts.total():9,}"


def main(minutes: float = 10, seed: int | None = None) -> None:
    seed = random.randrange(10**6) if seed is None else int(seed)
    end = time.monotonic() + 60 * minutes
    logging.getLogger("asd").addHandler(logging.NullHandler())  # what is redone is said many times
    logging.getLogger("asd").propagate = False
    print(f"seed {seed}", flush=True)
    print(*rows(campaign(seed, lambda number: time.monotonic() < end, (*TARGETS * 20, root))), sep="\n")


if __name__ == "__main__":
    main(*(json.loads(argument) for argument in sys.argv[1:]))
