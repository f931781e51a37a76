"""Packing the store against the plainest loop that could do it: read every file, write every sample.

python bench/store.py [clips] [seconds]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from asdcli.audio.clips import scan_clips
from asdcli.audio.packing import build_store
from asdcli.challenge.editions.edition import load_edition


def main(clips: int = 1000, seconds: float = 10.0) -> None:
    with tempfile.TemporaryDirectory() as name:
        raw = Path(name) / "raw"
        folder = raw / "fan" / "train"
        folder.mkdir(parents=True)
        rng = np.random.default_rng(0)
        for index in range(clips):
            samples = rng.integers(-3000, 3000, int(16_000 * seconds), dtype=np.int16)
            soundfile.write(folder / f"section_00_source_train_normal_{index:04d}_.wav", samples, 16_000)
        table, _ = scan_clips(raw, load_edition("dcase2023"), "dev", ["fan"])
        paths = [raw / path for path in table.path.tolist()]

        def plain() -> None:
            with (Path(name) / "plain.i16").open("wb") as file:
                for path in paths:
                    file.write(soundfile.read(path, dtype="int16")[0].tobytes())

        def packed(workers: int) -> Callable[[], object]:
            return lambda: build_store(raw, table, Path(name) / f"store{workers}{time.monotonic_ns()}", workers=workers)

        fresh = Path(name) / "fresh"
        build_store(raw, table, fresh)
        rows: dict[str, Callable[[], object]] = {
            "plain loop": plain,
            "store, 1 worker": packed(1),
            "store, 2 workers": packed(2),
            "store, already fresh": lambda: build_store(raw, table, fresh),
        }
        megabytes = clips * seconds * 32_000 / 1e6
        reference = 0.0
        for label, work in rows.items():
            best = min(timed(work) for _ in range(3))
            reference = reference or best
            print(f"{label:22} {best:7.3f} s  {megabytes / best:7.0f} MB/s  {best / reference:5.2f} x plain loop")


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
