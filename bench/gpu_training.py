"""Parts of bench/gpu.py: resuming after a kill, and what every shipped recipe costs at full width."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import soundfile
import torch
import yaml
from gpu_rows import Item, Row, Setting, milliseconds
from jobs import side_by_side
from safetensors.torch import load_file
from training_steps import clips_per_step, phase_loop, time_loop, time_network, view_of_noise

from asdcli.recipe.loading import RECIPES, load_recipe, recipe_names
from asdcli.recipe.schema import Method, Network
from asdcli.training import holding
from asdcli.training.run import build_task
from asdcli.training.views.view import View

# --- resuming ---------------------------------------------------------------------------------------------------------

ASD = (sys.executable, "-m", "asdcli")
MACHINE, DATA = "SynFan", "demo"
# Recipe: member, phase, and how many of its steps take a few seconds under the profile smoke: more than the half second
# after which there is a checkpoint.
LONG_ENOUGH = {"baseline_ae": ("ae", "train", 4000), "arcface_ensemble": ("mobilefacenet_1024", "source", 400)}
QUICK = {"baseline_ae": ("ae", "train", 1500)}  # on a CPU


def resume(setting: Setting) -> list[Item]:
    chosen = QUICK if setting.quick else LONG_ENOUGH
    return [(recipe, partial(_resume, recipe, *what, setting)) for recipe, what in chosen.items()]


def _resume(recipe: str, member: str, phase: str, steps: int, setting: Setting) -> list[Row]:
    """Three trainings at once: two that nobody disturbs, and one that is killed in the middle and started again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_recipe(folder / "long", recipe, member, phase, steps)
        roots = [folder / root for root in ("undisturbed", "again", "killed")]
        for root in roots:
            write_clips(root)
        _train_all(roots, setting)
        one, other, found = (load_file(next(root.rglob("weights.safetensors"))) for root in roots)
        return _compared(recipe, difference(one, other), difference(one, found))


def _train_all(roots: list[Path], setting: Setting) -> None:
    """Until there are weights under each root; under the last by way of a kill."""
    processes = [_start(root, setting) for root in roots]
    try:
        _kill_in_the_middle(processes[-1], roots[-1])
        processes[-1] = _start(roots[-1], setting)
        for process in processes:
            _finish(process)
        if b"going on at" not in processes[-1].said:
            raise RuntimeError("the killed training was started again from its beginning")
    finally:
        for process in processes:
            process.kill()  # those that an error has left running


def _compared(recipe: str, again: float, resumed: float) -> list[Row]:
    """A resumed run has to be equal to the last bit where two undisturbed ones are."""
    row = {"recipe": recipe, "two undisturbed runs": _said(again), "killed and resumed": _said(resumed)}
    return [row | {"verdict": "ok" if resumed == 0 or again > 0 else "OFF"}]


def _said(off: float) -> str:
    return "equal to the last bit" if off == 0 else f"differ by up to {off:.2g} of a tensor's largest weight"


def difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest of all weights, each as a share of the largest in its tensor; 0 only where all bits agree."""
    shares = [0.0]
    for name, expected in one.items():
        if not torch.equal(expected, other[name]):
            off = (expected.double() - other[name].double()).abs().max()
            shares.append(float(off / expected.double().abs().max()))
    return float(torch.tensor(shares).max())  # which is no number where one of them is none


def write_recipe(folder: Path, name: str, member: str, phase: str, steps: int) -> None:
    """A shipped recipe with its profile `smoke`, in which one phase is long enough to be killed."""
    recipe = yaml.safe_load((RECIPES / name / "recipe.yaml").read_text())
    recipe["members"] = {member: recipe["members"][member]}
    recipe.pop("systems", None)
    smoke = recipe["profiles"]["smoke"]
    smoke.pop("members", None)
    smoke["phases"][phase] |= {"epochs": None, "steps": steps}
    recipe["profiles"] = {"smoke": smoke}
    folder.mkdir()
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))


def write_clips(root: Path) -> None:
    """Two seconds of noise each, with the names of the demo edition: two sections, ten clips of each domain."""
    folder = root / "data" / DATA / "dev_data" / "raw" / MACHINE / "train"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for section in ("00", "01"):
        for domain in ("source", "target"):
            for index in range(10):
                name = f"section_{section}_{domain}_train_normal_{index:04d}_spd_{index % 2}.wav"
                soundfile.write(folder / name, 0.1 * rng.standard_normal(32_000), 16_000, subtype="PCM_16")


class Training(subprocess.Popen[bytes]):
    """`asd train` as a process of its own; `said` is its output once it has ended."""

    said = b""


def command(root: Path, setting: Setting) -> list[str]:
    """What comes after `asd` to train the long recipe on the clips under this root."""
    recipe = ["--recipe", str(root.parent / "long"), "--profile", "smoke"]
    return ["train", "--root", str(root), *recipe, "--data", DATA, "-m", MACHINE, "--device", setting.device.type]


def _start(root: Path, setting: Setting) -> Training:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    outputs = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return Training([*ASD, *command(root, setting)], cwd=root, env=environment, start_new_session=True, **outputs)


def _finish(process: Training) -> None:
    process.said = process.communicate(timeout=300)[0]
    if process.returncode:
        raise RuntimeError(process.said.decode().strip().splitlines()[-1])


def _kill_in_the_middle(process: Training, root: Path) -> None:
    """SIGKILL once there is a checkpoint to go on from."""
    while not list(root.rglob("checkpoint.pt")) and process.poll() is None:
        time.sleep(0.02)
    if process.poll() is not None:
        _finish(process)
        raise RuntimeError("the training was over before it could be killed; it needs more steps here")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


# --- side by side -----------------------------------------------------------------------------------------------------


def jobs(setting: Setting) -> list[Item]:
    return [("baseline_ae", partial(_jobs, "baseline_ae", setting))]


def _jobs(recipe: str, setting: Setting) -> list[Row]:
    """The machines of the demo data in one process after the other, and several at a time on the one device."""
    counts, machines = ((1, 2), ("SynFan", "SynPump")) if setting.quick else ((1, 2, 4), ())
    rows = []
    for count, seconds, factor, same in side_by_side(recipe, setting.profile, setting.device.type, counts, machines):
        row = {"recipe": recipe, "jobs": str(count), "s": f"{seconds:.1f}", "factor": f"{factor:.2f}"}
        exact = setting.device.type == "cpu"  # a card may add in another order while others use it, too
        rows.append(
            {**row, "weights": "the same" if same else "others", "verdict": "ok" if same or not exact else "OFF"}
        )
    return rows


# --- data that the card has no room for -------------------------------------------------------------------------------

STREAMED = {"baseline_ae": "ae", "everyday": "network", "aithu_2024": "beats_lora"}  # of features, pieces, waveforms


def streaming(setting: Setting) -> list[Item]:
    members = {recipe: load_recipe(recipe).members(setting.profile) for recipe in STREAMED}
    chosen = {recipe: name if name in members[recipe] else members[recipe][0] for recipe, name in STREAMED.items()}
    return [(f"{recipe} {member}", partial(_streaming, recipe, member, setting)) for recipe, member in chosen.items()]


def _streaming(recipe: str, member: str, setting: Setting) -> list[Row]:
    """The same training with its data on the card, and beside it: from pinned memory, a batch ahead."""
    method = load_recipe(recipe).resolve(member=member, profile=setting.profile)
    name = next(iter(method.phases))
    clips, rows, first = 12 if setting.quick else 1000, [], None
    for where in ("on the card", "beside it"):
        with mock.patch.object(holding, "_fits", return_value=where == "on the card"):
            view = view_of_noise(method, clips, setting.device)
        task = build_task(method, name, view, setting.device, seed=0)
        loop = partial(time_loop, method, name, view, setting.device, task=task, batch_size=3 if setting.quick else 32)
        began = loop(2)
        weights = {key: value.clone() for key, value in task.state_dict().items()}
        first = first or weights
        steps = 2 if setting.quick else setting.calls_for(began / 2)
        row = {"recipe": f"{recipe} {member}", "data": where, "ms per step": milliseconds(loop(steps) / steps)}
        off = difference(first, weights)
        exact = setting.device.type == "cpu"
        rows.append(row | {"two steps": _said(off), "verdict": "OFF" if exact and off else "ok"})
    return rows


# --- recipes at full width --------------------------------------------------------------------------------------------

PRECISIONS = {"cuda": ["float32", "bfloat16"], "cpu": ["float32"]}  # in which the loop trains
UNTRAINED = {"clips/s": "nothing to train", "steps": "0", "hours": "0"}


def recipes(setting: Setting) -> list[Item]:
    """All members of all recipes, and again without recomputed blocks where they have some; in a quick run the first of
    each as it is.
    """
    found = []
    for recipe in map(load_recipe, recipe_names()):
        for member in recipe.members(setting.profile)[: 1 if setting.quick else None]:
            method = recipe.resolve(member=member, profile=setting.profile)
            found.append((f"{recipe.name} {member}", method))
            if not setting.quick and (plain := _not_recomputed(method)) != method:
                found.append((f"{recipe.name} {member}, nothing recomputed", plain))
    return [(title, partial(_member, title, method, setting)) for title, method in found]


def _not_recomputed(method: Method) -> Method:
    document = method.model.model_dump()
    for network in (document, *document.get("branches", {}).values()):
        if network.get("recompute"):
            network["recompute"] = False
    return method.model_copy(update={"model": Network.model_validate(document)})


def _member(title: str, method: Method, setting: Setting) -> list[Row]:
    """Each phase in each precision, for a machine with 1000 training clips of ten seconds."""
    if setting.quick:
        small = {name: phase.model_copy(update={"batch_size": 3}) for name, phase in method.phases.items()}
        method = method.model_copy(update={"phases": small})
    view = view_of_noise(method, 12 if setting.quick else 1000, setting.device)
    rows = []
    for precision in PRECISIONS[setting.device.type]:
        made = [_phase_or_memory(method, name, view, setting, precision) for name in method.phases]
        rows += [{"recipe": title, "precision": precision, **row} for row in made]
        rows[-1]["hours of all phases"] = f"{sum(float(row.get('hours', 'nan')) for row in made):.3g}"
    return rows


def _phase_or_memory(method: Method, name: str, view: View, setting: Setting, precision: str) -> Row:
    """Figures of one phase; where the card's memory does not hold it, that is what there is to know."""
    try:
        figures = _phase(method, name, view, setting, precision) if method.phases[name].steps != 0 else UNTRAINED
    except torch.OutOfMemoryError:
        figures = {"clips/s": "out of memory"}
    if setting.device.type == "cuda":
        torch.cuda.empty_cache()
    return {"phase": name, **figures, "verdict": "ok"}


def _phase(method: Method, name: str, view: View, setting: Setting, precision: str) -> Row:
    task = build_task(method, name, view, setting.device, seed=0)
    planned = phase_loop(method, name, view, setting.device, task=task)
    loop = partial(time_loop, method, name, view, setting.device, task=task, precision=precision)
    first = 1 if setting.quick else 5
    loop(first)  # to warm up
    steps = setting.calls_for(loop(first) / first)
    _forget_peak(setting.device)
    loop_s = loop(steps) / steps
    peak = _peak_gib(setting.device)
    network_s = time_network(method, name, view, setting.device, steps, task=task, precision=precision) / steps
    return {
        "batch": f"{planned.phase.batch_size}",
        "ms per step": milliseconds(loop_s),
        "clips/s": f"{clips_per_step(planned) / loop_s:.3g}",
        "not the network": f"{100 * (1 - network_s / loop_s):.0f} %",
        "peak GiB": f"{peak:.2f}",
        "steps": f"{planned.total_steps}",
        "hours": f"{planned.total_steps * loop_s / 3600:.3g}",
    }


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _peak_gib(device: torch.device) -> float:
    """Of the card's memory what tensors held at most; on the CPU what the process has held at most since it began."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
