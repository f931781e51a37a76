"""Parts of bench/gpu.py: front ends, networks and losses on the device against the CPU, and the time of detectors."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from gpu_rows import Item, Row, Setting, deviation, milliseconds, tolerance, verdict
from torch import Tensor, nn
from torch.nn import functional as F
from training_steps import SAMPLES, timed, view_of_noise

from asdcli.audio.features import samples_at_once
from asdcli.audio.frontends import FRONTENDS
from asdcli.detection.bank import Bank, Embeddings, take
from asdcli.detection.detectors import DETECTORS
from asdcli.nn.backbones import BACKBONES
from asdcli.nn.branches import Branches
from asdcli.recipe.components import Component, build
from asdcli.recipe.loading import load_recipe, recipe_names
from asdcli.recipe.schema import Method
from asdcli.training.labels import CLASS, MACHINE, LabelSet, LabelSets
from asdcli.training.precision import bfloat16_network
from asdcli.training.seeds import generator
from asdcli.training.tasks import TASKS
from asdcli.training.tasks.mixed_softmax import MixedSoftmax
from asdcli.training.tasks.task import Task
from asdcli.training.tasks.vicreg_mixup import VicRegMixup
from asdcli.training.views.view import Batch, Mixed, ViewLabels

CPU = torch.device("cpu")
OF_WAVEFORMS = ("beats", "eat")
SMALL = {"depth": 2, "width": 96, "heads": 4, "hidden": 192}


# --- front ends -------------------------------------------------------------------------------------------------------


def frontends(setting: Setting) -> list[Item]:
    return [(name, partial(_frontend, name, setting)) for name in FRONTENDS]


@torch.no_grad()
def _frontend(name: str, setting: Setting) -> list[Row]:
    clips = (
        1 if setting.quick else samples_at_once(setting.device) // SAMPLES
    )  # as many as `asd features` transforms at once
    frontend = build(FRONTENDS, "front end", Component(name=name)).eval()
    waves = 0.1 * torch.randn(clips, SAMPLES, generator=generator("bench"))
    cpu, exact = frontend(waves), copy.deepcopy(frontend).double()(waves.double())
    frontend, waves = frontend.to(setting.device), waves.to(setting.device)
    found, allowed = frontend(waves).cpu(), tolerance(cpu, exact)
    row = {
        "front end": name,
        "device - CPU": f"{float((found - cpu).abs().max()):.2g}",
        "of the largest value": f"{deviation(found, cpu):.2g}",
        "device - float64": f"{deviation(found, exact):.2g}",
        "tolerance": f"{allowed:.2g}",
        "ms per 10 s clip": milliseconds(setting.seconds_per_call(lambda: frontend(waves)) / clips),
        "verdict": verdict(deviation(found, exact) <= allowed),
    }
    return [row]


# --- networks ---------------------------------------------------------------------------------------------------------


def networks(setting: Setting) -> list[Item]:
    return [(name, partial(_network, name, setting)) for name in BACKBONES]


@torch.no_grad()
def _network(name: str, setting: Setting) -> list[Row]:
    """Embeddings or reconstructions of one batch, of the shape that a shipped recipe has, in evaluation.

    Networks that take waveforms get clips of 10 s.
    """
    count = 2 if setting.quick else 16
    if name in OF_WAVEFORMS:
        component = Component.model_validate({"name": name, **(SMALL if setting.quick else {})})
        x = 0.1 * torch.randn(count, SAMPLES, generator=generator("bench"))
    else:
        method = _method_with(name, setting.profile)
        component, x = method.model, _images(count, *view_of_noise(method, 6, CPU).input_shape)
    torch.manual_seed(0)
    model = _settled(build(BACKBONES, "model", component, x.shape[1:]), x).to(memory_format=torch.channels_last)
    cpu, half_cpu, exact = model(x), _in_bfloat16(model, x), copy.deepcopy(model).double()(x.double())
    model, x = model.to(setting.device), x.to(setting.device)
    found, half = _without_tf32(model, x), _in_bfloat16(model, x)
    allowed, half_allowed = tolerance(cpu, exact), tolerance(half_cpu, exact, torch.bfloat16)
    row = {
        "network": name,
        "input": " x ".join(map(str, x.shape)),
        "device - CPU": f"{deviation(found, cpu):.2g}",
        "device - float64": f"{deviation(found, exact):.2g}",
        "tolerance": f"{allowed:.2g}",
        "as torch is set (TF32) - float64": f"{deviation(model(x), exact):.2g}",
        "bfloat16 - float64": f"{deviation(half, exact):.2g}",
        "its tolerance": f"{half_allowed:.2g}",
        "ms": milliseconds(setting.seconds_per_call(lambda: model(x))),
        "ms in bfloat16": milliseconds(setting.seconds_per_call(lambda: _in_bfloat16(model, x))),
        "verdict": verdict(deviation(found, exact) <= allowed, deviation(half, exact) <= half_allowed),
    }
    return [row]


def _images(count: int, height: int, width: int) -> Tensor:
    """Hills and valleys with noise on them, `[count, height, width]`: examples as different as clips are."""
    draw = generator("bench")
    hills = torch.randn(count, 1, 5, 5, generator=draw)
    smooth = F.interpolate(hills, (height, width), mode="bilinear", align_corners=True).squeeze(1)
    return smooth + 0.3 * torch.randn(count, height, width, generator=draw)


def _method_with(model: str, profile: str) -> Method:
    """A shipped recipe's method with this network."""
    for recipe in map(load_recipe, recipe_names()):
        for member in recipe.header.members:
            method = recipe.resolve(member=member, profile=profile)
            if method.model.name == model:
                return method
    raise LookupError(f"no shipped recipe has the network {model}")


def _settled(model: nn.Module, x: Tensor) -> nn.Module:
    """The network in evaluation, its batch norms dividing by the root mean square of what comes to them.

    As they are built, signals fade on the way. Statistics of each channel, as training takes them, would be of a few
    values in the last layers: a channel that is near zero by chance is blown up there, and its rounding with it.
    """

    def scale(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        norm.running_mean.zero_()
        norm.running_var.fill_(inputs[0].square().mean())

    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    hooks = [norm.register_forward_pre_hook(scale) for norm in norms]
    model.eval()(x)
    for hook in hooks:
        hook.remove()
    return model


def _in_bfloat16(model: nn.Module, x: Tensor) -> Tensor:
    with bfloat16_network(model, x.device):
        return model(x)


def _without_tf32(model: nn.Module, x: Tensor) -> Tensor:
    """The network's output with convolutions in float32, where torch would have cuDNN round to TF32."""
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    try:
        return model(x)
    finally:
        torch.backends.cudnn.allow_tf32 = before


# --- losses -----------------------------------------------------------------------------------------------------------

CLASSES, SIZE = 6, 128
NAMES = tuple(map(str, range(CLASSES)))
SETS = LabelSets(
    {CLASS: LabelSet("section", NAMES), MACHINE: LabelSet("machine", NAMES)}
    | {f"fan {name}": LabelSet("attribute", NAMES, "fan", name) for name in ("spd", "load")}
)
SETTINGS: dict[str, list[dict[str, Any]]] = {"arcface": [{"mixed": "two_label"}, {"mixed": "soft_label"}]}


class OneLayer(nn.Linear):
    """The smallest network with an embedding, which may as well be a reconstruction of its size."""

    embedding_size = SIZE

    def __init__(self) -> None:
        super().__init__(SIZE, SIZE)


def losses(setting: Setting) -> list[Item]:
    made = [(name, params) for name in TASKS for params in SETTINGS.get(name, [{}])]
    return [(" ".join([name, *params.values()]), partial(_loss, name, params, setting)) for name, params in made]


def _loss(name: str, params: dict[str, Any], setting: Setting) -> list[Row]:
    title = " ".join([name, *params.values()])
    if name in ("layer_features", "frozen"):
        return [{"loss": title, "of the": "nothing to train", "verdict": "ok"}]
    torch.manual_seed(0)
    view = SimpleNamespace(labels=ViewLabels(SETS, {label: torch.empty(0) for label in SETS}))
    model = Branches({"one": OneLayer(), "other": OneLayer()}) if name == "branch_arcface" else OneLayer()
    task: Task = build(TASKS, "task", Component.model_validate({"name": name, **params}), model, view)
    exact = _value_and_gradients(task, CPU, torch.float64)
    rows = []
    for dtype in (torch.float32, torch.bfloat16):
        cpu, found = (_value_and_gradients(task, device, dtype) for device in (CPU, setting.device))
        for what in exact:
            off, allowed = deviation(found[what], exact[what]), tolerance(cpu[what], exact[what], dtype)
            row = {"loss": title, "precision": str(dtype).removeprefix("torch."), "of the": what}
            row |= {"device - CPU": f"{deviation(found[what], cpu[what]):.2g}", "device - float64": f"{off:.2g}"}
            rows.append(row | {"tolerance": f"{allowed:.2g}", "verdict": verdict(off <= allowed)})
    return rows


def _inputs(task: Task, x: Tensor) -> dict[str, Tensor]:
    """What the task's batches carry: the examples, or mixtures with their parts."""
    if not isinstance(task, VicRegMixup | MixedSoftmax):
        return {"x": x}
    return {"first": x, "second": x.roll(1, 0), "mixed": (x + x.roll(1, 0)) / 2}


def _classes(count: int, draw: torch.Generator) -> Tensor:
    """Class numbers `[sets, count]`."""
    return torch.randint(CLASSES, (len(SETS), count), generator=draw)


def _value_and_gradients(task: Task, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """The loss of a batch of mixed examples, and the gradients of all weights; in bfloat16 as the loop has it."""
    draw, count = generator("bench"), 48
    half, wide = dtype == torch.bfloat16, torch.float64 if dtype == torch.float64 else torch.float32
    task = copy.deepcopy(task).to(device, wide)
    x = torch.randn(count, SIZE, generator=draw).to(device, wide)
    labels, others = (dict(zip(SETS, _classes(count, draw).to(device), strict=True)) for _ in range(2))
    rate = torch.rand(count, generator=draw).to(device, wide)
    with bfloat16_network(task.model, device) if half else nullcontext():
        batch = Batch(_inputs(task, x), torch.arange(count), labels, Mixed(torch.arange(count), others, rate))
        loss = task(batch, draw)["loss"]
    loss.backward()
    gradients = [weight.grad.flatten() for weight in task.parameters() if weight.grad is not None]
    return {"value": loss, "gradients": torch.cat(gradients)}


# --- detectors --------------------------------------------------------------------------------------------------------


def detectors(setting: Setting) -> list[Item]:
    tested, sizes = (5, (5,)) if setting.quick else (200, (100, 300, 1000))
    data = {size: _bank(size) for size in sizes}
    return [(name, partial(_detector, name, data, tested)) for name in DETECTORS]


def _detector(name: str, data: dict[int, Bank], tested: int) -> list[Row]:
    """Times of banks that grow; all detectors are NumPy and SciPy, so that no card makes them faster."""
    rows = []
    for size, bank in data.items():
        detector = build(DETECTORS, "detector", Component(name=name))
        clips = take(bank.embeddings, np.arange(tested) % size)
        row = {"detector, NumPy on the CPU": name, "bank": f"{size} clips"}
        row |= {"fit, ms": milliseconds(timed(CPU, partial(detector.fit, bank)))}
        row |= {f"score {tested} clips, ms": milliseconds(timed(CPU, partial(detector.score, clips)))}
        row |= {"score the bank, ms": milliseconds(timed(CPU, detector.score_bank)), "verdict": "ok"}
        rows.append(row)
    return rows


def _bank(clips: int) -> Bank:
    """Made-up embeddings under every name that a shipped task gives, in the sizes of the shipped recipes."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((clips, 2 * 128, 128), dtype=np.float32)
    moments = rows.transpose(0, 2, 1) @ rows / rows.shape[1]
    upper = np.triu_indices(128)
    embeddings: Embeddings = {
        "residual_mean": rows.mean(1),
        "residual_moment": moments[:, upper[0], upper[1]],
        "embedding": rng.standard_normal((clips, 10, 128), dtype=np.float32),
        "positions": rng.standard_normal((clips, 16, 40, 100), dtype=np.float32),
        "log_odds": rng.standard_normal((clips, 6), dtype=np.float32),
    }
    domain = np.where(np.arange(clips) % 100, "source", "target")
    return Bank(embeddings, domain, np.full(clips, "00"), np.arange(clips) % 6)
