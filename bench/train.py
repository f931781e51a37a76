"""The training loop against the bare network: the same batches through forward, backward and update by hand.

python bench/train.py [steps] [threads]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from asdcli.audio.clips import ClipTable
from asdcli.audio.features import Features
from asdcli.pipeline.features import FeatureData
from asdcli.recipe import load_recipe
from asdcli.training.checkpoint import Checkpoint, RunLog
from asdcli.training.loop import StageLoop
from asdcli.training.run import build_task
from asdcli.training.views import FrameWindows
from asdcli.ui import Progress


def main(steps: int = 600, threads: int = 1) -> None:
    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    method = load_recipe("baseline_ae").resolve(member="ae")
    stage = method.stages["train"].model_copy(update={"epochs": None, "steps": steps, "validation": None})
    clips, frames = 200, 313
    columns = {name: ["train"] * clips for name in ("path", "machine", "section", "domain", "split")}
    table = ClipTable.from_columns(columns | {"label": [0] * clips, "attributes": [{}] * clips})
    values = np.random.default_rng(0).standard_normal((clips * frames, 128), dtype=np.float32)
    data = FeatureData(table, [Features(values, np.arange(clips + 1) * frames, "")], 0)
    view = FrameWindows(data, np.arange(clips), device)

    with tempfile.TemporaryDirectory() as folder:
        task = build_task(method, "train", view, device, seed=0)
        loop = StageLoop(
            "train",
            stage,
            task,
            view,
            seed=0,
            device=device,
            checkpoint=Checkpoint(Path(folder) / "checkpoint.pt", ""),
            log=RunLog(Path(folder) / "log.jsonl"),
        )
        seconds = timed(device, lambda: loop.run(Progress()))

    task = build_task(method, "train", view, device, seed=0).train()
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-3, fused=True)
    x = view.clip_examples(0)[:256]

    def bare() -> None:
        for _ in range(steps):
            torch.nn.functional.mse_loss(task.model(x), x).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    alone = timed(device, bare)
    per_clip = frames - 4
    print(f"device {device.type}, {threads} threads, batch {stage.batch_size}, {steps} steps")
    print(f"loop         {1e3 * seconds / steps:6.2f} ms/step  {256 * steps / per_clip / seconds:7.0f} clips/s")
    print(f"network only {1e3 * alone / steps:6.2f} ms/step")
    print(f"share that is not the network: {100 * (1 - alone / seconds):.0f} %")


def timed(device: torch.device, work) -> float:  # type: ignore[no-untyped-def]
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
