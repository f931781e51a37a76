"""What BEATs and EAT cost frozen: CPU-seconds a clip of 10 s on one thread, against their products of matrices alone.

python bench/encoders.py

Random weights, full size, waveform to embedding. The reference is the time that as many multiply-accumulates take in
one large product of float32 matrices on the same core.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from asdcli.nn.backbones import BACKBONES

SAMPLES = 160_000
GMACS = {"beats": 49.3, "eat": 48.5}  # of a clip of ten seconds, by torch's counter
SIZE, ROUNDS = 2048, 5


def main() -> None:
    torch.set_num_threads(1)
    matrix = torch.randn(SIZE, SIZE)
    print("| encoder | CPU-s a clip | its products alone | ratio |\n|---|---|---|---|")
    for name, gmacs in GMACS.items():
        model, clip = BACKBONES[name]((SAMPLES,)).eval(), 0.1 * torch.randn(1, SAMPLES)
        times = [(_cpu_seconds(model, clip), _cpu_seconds(torch.mm, matrix, matrix)) for _ in range(ROUNDS + 1)]
        own, product = (statistics.median(side) for side in zip(*times[1:], strict=True))
        least = product * gmacs * 1e9 / SIZE**3
        print(f"| {name} | {own:.2f} | {least:.2f} | {own / least:.2f} |", flush=True)


@torch.inference_mode()
def _cpu_seconds(work: Callable[..., object], *given: torch.Tensor) -> float:
    began = time.process_time()
    work(*given)
    return time.process_time() - began


if __name__ == "__main__":
    main()
