"""Tensors of the CPU never meet those of the device, which CUDA refuses: shown without a GPU, on torch's device `meta`.

Meta tensors have shapes and no values, and most operations refuse to mix them with others as they do for CUDA; matrix
products and indexing do not, so that this is less than a run on a GPU.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from helpers import REPOSITORY

from asdcli.recipe.components import build
from asdcli.recipe.loading import load_recipe, recipe_names
from asdcli.recipe.schema import Method, Phase
from asdcli.training import holding
from asdcli.training.augments import AUGMENTS, Make
from asdcli.training.run import build_task
from asdcli.training.seeds import generator
from asdcli.training.tasks import layer_features, reconstruction
from asdcli.training.tasks.task import Task
from asdcli.training.views import VIEWS
from asdcli.training.views.view import View

META = torch.device("meta")
STREAMED = ("baseline_ae", "everyday", "arcface_ensemble", "ssl_classifier", "aithu_2024")  # of each kind of data


@pytest.mark.parametrize(
    ("recipe", "fits"), [*((name, True) for name in recipe_names()), *((name, False) for name in STREAMED)]
)
def test_all_that_a_recipe_computes_is_on_the_device(recipe: str, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its data do not fit there, too, and stay on this side."""
    monkeypatch.setattr(holding, "_fits", lambda values, device: fits)
    monkeypatch.syspath_prepend(str(REPOSITORY / "bench"))
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which does not know the device meta
    for module in (reconstruction, layer_features):  # scikit-learn wants values
        monkeypatch.setattr(module, "moments", no_moments)
    from training_steps import Noise

    header = load_recipe(recipe).header
    method = load_recipe(recipe).resolve(member=next(iter(header.members)), profile="smoke")
    view: View = build(VIEWS, "view", method.view, Noise(method, clips=7), np.arange(7), META)
    assert view.streamed is not fits  # type: ignore[attr-defined]
    for name, phase in method.phases.items():
        task = build_task(method, name, view, META, seed=0)
        if phase.steps != 0:
            check_training(task, view, phase)
    check_embedding(method, task, view)


def no_moments(view: View, *, per_feature: bool) -> tuple[torch.Tensor, torch.Tensor]:
    example = view.clip_examples(0)
    mean = example.new_zeros(example.shape[-1:] if per_feature else example.shape[1:])
    return mean, mean + 1


def check_training(task: Task, view: View, phase: Phase) -> None:
    make: Make = view.batch
    for component in phase.augment:
        make = partial(build(AUGMENTS, "augment", component, view), make, torch.arange(7))
    batch = make(torch.arange(4), generator("batch"))
    mixed = [*batch.mixed.labels.values(), batch.mixed.rate] if batch.mixed else []
    assert all(part.device == META for part in (*batch.inputs.values(), *batch.labels.values(), *mixed))
    losses = task(batch, generator("task"))
    assert all(loss.device == META for loss in losses.values())
    losses["loss"].backward()
    assert all(weight.grad is not None and weight.grad.device == META for weight in task.parameters())


@torch.inference_mode()
def check_embedding(method: Method, task: Task, view: View) -> None:
    embedding = task.eval().embed(view.clip_examples(0), [len(view.clip_examples(0))])
    assert all(part.device == META for part in embedding.values())
