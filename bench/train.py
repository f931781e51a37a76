"""The training loop against the bare network: the same batches through forward, backward and update by hand.

python bench/train.py [recipe] [member] [steps] [threads]
"""

from __future__ import annotations

import sys

import torch
from training_steps import clips_per_step, phase_loop, time_loop, time_network, view_of_noise

from asdcli.recipe.loading import load_recipe
from asdcli.training.run import build_task

CLIPS = 200


def main(recipe: str = "baseline_ae", member: str = "ae", steps: int = 600, threads: int = 1) -> None:
    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    method = load_recipe(recipe).resolve(member=member)
    name = next(iter(method.phases))
    view = view_of_noise(method, CLIPS, device)
    task = build_task(method, name, view, device, seed=0)
    seconds = time_loop(method, name, view, device, steps, task=task, clips="all")
    alone = time_network(method, name, view, device, steps, task=task, clips="all")
    loop = phase_loop(method, name, view, device, task=task)
    print(f"{recipe} {member} on {device.type}, {threads} threads, batch {loop.phase.batch_size}, {steps} steps")
    print(f"loop         {1e3 * seconds / steps:8.2f} ms/step  {clips_per_step(loop) * steps / seconds:7.1f} clips/s")
    print(f"network only {1e3 * alone / steps:8.2f} ms/step")
    print(f"share of the loop that is not the network: {100 * (1 - alone / seconds):.0f} %")


if __name__ == "__main__":
    text, numbers = sys.argv[1:3], [int(argument) for argument in sys.argv[3:]]
    main(*text, *numbers)
