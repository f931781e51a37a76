"""Reconstruction of standardised examples."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import toys
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.preprocessing import StandardScaler
from torch import nn

from asdcli.audio.features import Features
from asdcli.errors import UserError
from asdcli.recipe.components import Component, build
from asdcli.training.seeds import generator
from asdcli.training.tasks import TASKS
from asdcli.training.tasks.moments import moments
from asdcli.training.tasks.reconstruction import Reconstruction
from asdcli.training.views.view import View

KINDS = ("feature", "value")


def view_of(values: np.ndarray, lengths: list[int], frames: int = 2, hop: int = 1) -> View:
    """Clips of these frames `[all frames, features]`."""
    data = toys.clips(lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return toys.view(toys.Clips(data.clips, [Features(values.astype(np.float32), offsets, "key")]), frames, hop)


def drifting_clips() -> View:
    """Clips of unequal length, loud and quiet, each feature with a scale of its own; the last one never moves."""
    lengths = [6, 30, 11, 4]
    rng = np.random.default_rng(2)
    values = rng.standard_normal((sum(lengths), 4)) * [1.0, 0.05, 20.0, 0.0] + [0.0, -80.0, 5.0, -199.99999]
    values[:6] += [40.0, 0.0, -300.0, 0.0]
    return view_of(values, lengths)


def rows(view: View, kind: str) -> np.ndarray:
    """What scikit-learn is given: a row per frame of each window, or per window."""
    windows = torch.cat([view.clip_examples(row) for row in range(len(view.clips))])
    return (windows.flatten(0, 1) if kind == "feature" else windows.flatten(1)).double().numpy()


def task(kind: str, view: View | None = None, seed: int = 0) -> Reconstruction:
    view = view or drifting_clips()
    torch.manual_seed(seed)
    own: Reconstruction = build(
        TASKS,
        "task",
        Component.model_validate({"name": "reconstruction", "standardise": kind}),
        toys.Linear(view.input_shape),
        view,
    )
    return own


class Nothing(nn.Module):
    """Reconstructs every example as zeros: the residual is then the example itself."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)


# --- mean and deviation ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_mean_and_deviation_are_those_of_scikit_learn(kind: str) -> None:
    view = drifting_clips()
    scaler = StandardScaler().fit(rows(view, kind))
    mean, deviation = moments(view, per_feature=kind == "feature")
    assert mean.shape == deviation.shape == ((4,) if kind == "feature" else (2, 4))
    np.testing.assert_allclose(mean.flatten(), scaler.mean_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(deviation.flatten(), scaler.scale_, rtol=1e-9)
    assert (deviation[..., 3] == 1).all()


@given(
    values=arrays.arrays(np.float32, (12, 2), elements=st.floats(-1e4, 1e4, width=32)),
    split=st.integers(2, 10),
    frames=st.integers(1, 2),
)
@settings(max_examples=60)
def test_they_are_so_for_any_values(values: np.ndarray, split: int, frames: int) -> None:
    view = view_of(values, [split, 12 - split], frames=frames)
    for kind in KINDS:
        scaler = StandardScaler().fit(rows(view, kind))
        mean, deviation = moments(view, per_feature=kind == "feature")
        np.testing.assert_allclose(mean.flatten(), scaler.mean_, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(deviation.flatten(), scaler.scale_, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_examples_become_mean_0_and_deviation_1(kind: str) -> None:
    view = drifting_clips()
    own = Reconstruction(Nothing(), view, standardise=kind)  # type: ignore[arg-type]
    expected = StandardScaler().fit_transform(rows(view, kind))
    every = torch.arange(len(view.clip))
    loss = own(view.batch(every, generator("test")), generator("test"))["loss"]
    assert loss.item() == pytest.approx(np.square(expected).mean(), rel=1e-4)
    assert loss.item() == pytest.approx(3 / 4, rel=1e-4)  # one of four features is constant


# --- the task -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_input_and_target_are_standardised(kind: str) -> None:
    view = drifting_clips()
    own = task(kind, view).eval()
    batch = view.batch(torch.arange(9), generator("test"))
    x = torch.from_numpy(
        StandardScaler().fit(rows(view, kind)).transform(batch.x.reshape(-1, 4 if kind == "feature" else 8))
    )
    x = x.float().view_as(batch.x)
    with torch.no_grad():
        residual = own.model(x) - x
        loss = own(batch, generator("test"))["loss"]
        made = toys.embedded(own, batch.x)
    assert loss.item() == pytest.approx(residual.square().mean().item(), rel=1e-4)
    torch.testing.assert_close(made["residual_mean"], residual.flatten(0, 1).mean(0), rtol=1e-3, atol=1e-4)
    diagonal = [0, 4, 7, 9]  # of the packed upper triangle
    assert made["residual_moment"][diagonal].mean().item() == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_statistics_travel_with_the_weights(kind: str) -> None:
    """A task that embeds is built on a view of one clip and gets its mean and deviation from the trained one."""
    view = drifting_clips()
    trained, other = (
        task(kind, view),
        task(kind, view_of(np.random.default_rng(1).standard_normal((5, 4)), [5]), seed=1),
    )
    examples = view.clip_examples(1)
    with torch.no_grad():
        expected = toys.embedded(trained.eval(), examples)
        assert not toys.same(toys.embedded(other.eval(), examples), expected)
        other.load_state_dict(copy.deepcopy(trained.state_dict()))
        assert toys.same(toys.embedded(other.eval(), examples), expected)


def test_without_standardising_the_weights_are_the_networks_alone() -> None:
    own = task("none")
    assert set(own.state_dict()) == {f"model.{name}" for name in own.model.state_dict()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_statistics_do_not_learn(kind: str) -> None:
    own = task(kind)
    assert {name for name, _ in own.named_parameters()} == {f"model.{name}" for name, _ in own.model.named_parameters()}


def test_an_unknown_way_is_the_users_error() -> None:
    with pytest.raises(UserError, match="'frame' is not possible here"):
        task("frame")
