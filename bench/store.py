"""Packing and features against what limits them: decoding alone with as many workers, and decoding with an FFT.

python bench/store.py [clips] [rounds]

Clips of ten seconds. The sides take turns, round by round; medians count. A share is the time of the reference over
that of the side, in wall time and in CPU time.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch

from asdcli.audio.clips import ClipTable, scan_clips
from asdcli.audio.decode import decode
from asdcli.audio.features import cached_features
from asdcli.audio.packing import build_store
from asdcli.audio.store import scaled
from asdcli.challenge.editions.edition import load_edition
from asdcli.recipe.components import Component

SAMPLES = 160_000
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Side:
    """Something that is timed, and the name of what it is measured against."""

    work: Callable[[], object]
    reference: str


@dataclass(frozen=True)
class Found:
    """Milliseconds a clip, on the wall and of the CPU, and what share of the reference's each is."""

    wall: float
    cpu: float
    reference: str
    wall_share: float
    cpu_share: float


def main(clips: int = 300, rounds: int = 5) -> None:
    print("| | ms a clip | CPU ms | reference | share, wall | share, CPU |\n|---|---|---|---|---|---|")
    for side, found in compared(clips, rounds).items():
        shares = f"{found.wall_share:.2f} | {found.cpu_share:.2f}"
        print(f"| {side} | {found.wall:.3f} | {found.cpu:.3f} | {found.reference} | {shares} |")


def compared(clips: int, rounds: int) -> dict[str, Found]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = write_clips(folder / "raw", clips)
        sides = {**of_packing(folder, table), **of_features(folder, table)}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
        for _ in range(rounds):
            for side, one in sides.items():
                times[side].append(timed(one.work))
    wall, cpu = ({side: statistics.median(t[kind] for t in found) for side, found in times.items()} for kind in (0, 1))
    return {
        side: Found(
            1e3 * wall[side] / clips,
            1e3 * cpu[side] / clips,
            one.reference,
            wall[one.reference] / wall[side],
            cpu[one.reference] / cpu[side],
        )
        for side, one in sides.items()
    }


def of_packing(folder: Path, table: ClipTable) -> dict[str, Side]:
    paths = [folder / "raw" / path for path in table.path.tolist()]
    fresh = folder / "fresh"
    build_store(folder / "raw", table, fresh)

    def decoding(workers: int) -> Callable[[], object]:
        def work() -> None:
            with ThreadPoolExecutor(workers) as pool:
                for _ in pool.map(decode, paths):
                    pass

        return work

    def plain() -> None:
        with (folder / "plain.i16").open("wb") as file:
            for path in paths:
                file.write(soundfile.read(path, dtype="int16")[0].tobytes())

    def packing(workers: int) -> Callable[[], object]:
        return lambda: build_store(folder / "raw", table, folder / f"store{time.monotonic_ns()}", workers=workers)

    sides = {}
    for workers in (1, 2):
        limit = f"decoding, {workers} worker{'s' * (workers > 1)}"
        sides[limit] = Side(decoding(workers), limit)
        sides[f"packing, {workers} worker{'s' * (workers > 1)}"] = Side(packing(workers), limit)
    sides["read, write in a plain loop"] = Side(plain, "decoding, 1 worker")
    sides["a store that is fresh"] = Side(lambda: build_store(folder / "raw", table, fresh), "packing, 2 workers")
    return sides


def of_features(folder: Path, table: ClipTable) -> dict[str, Side]:
    paths = [folder / "raw" / path for path in table.path.tolist()]
    window = torch.hann_window(1024)
    logmel = Component(name="logmel")
    store = build_store(folder / "raw", table, folder / "fresh")

    def transform(path: Path) -> None:
        with torch.inference_mode():
            wave = torch.from_numpy(scaled(decode(path).samples, 0))
            torch.stft(wave, 1024, 512, window=window, center=True, pad_mode="constant", return_complex=True)

    def transforming(threads: int) -> Callable[[], object]:
        def work() -> None:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                for _ in pool.map(transform, paths):
                    pass

        return work

    def features(threads: int) -> Callable[[], object]:
        def work() -> None:
            torch.set_num_threads(threads)
            cached_features(store, logmel, 0, folder / f"features{time.monotonic_ns()}", CPU)

        return work

    sides = {}
    for threads in (1, 2):
        limit = f"decoding and FFT, {threads} thread{'s' * (threads > 1)}"
        sides[limit] = Side(transforming(threads), limit)
        sides[f"log-mel from the store, {threads} thread{'s' * (threads > 1)}"] = Side(features(threads), limit)
    return sides


def write_clips(raw: Path, count: int) -> ClipTable:
    folder = raw / "fan" / "train"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        samples = rng.integers(-3000, 3000, SAMPLES, dtype=np.int16)
        soundfile.write(folder / f"section_00_source_train_normal_{index:04d}_.wav", samples, 16_000)
    return scan_clips(raw, load_edition("dcase2023"), "dev", ["fan"])[0]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall and of the CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
