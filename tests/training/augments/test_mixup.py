"""Mixup: who is mixed with whom, at which share, and what comes out of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import toys
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asdcli.audio.clips import ClipTable
from asdcli.errors import UserError
from asdcli.recipe.components import Component, build
from asdcli.training.augments import AUGMENTS
from asdcli.training.augments.mixup import Mixup
from asdcli.training.labels import CLASS
from asdcli.training.seeds import generator
from asdcli.training.views.view import Batch, View


def mixup(view: View, **params: Any) -> Mixup:
    made: Mixup = build(AUGMENTS, "augment", Component.model_validate({"name": "mixup", **params}), view)
    return made


def mixed(made: Mixup, examples: Tensor, seed: int, among: Tensor | None = None) -> Batch:
    every = torch.arange(len(made.view.clip))
    return made(made.view.batch, every if among is None else among, examples, generator(seed))


VIEW = toys.pieces()  # 24 clips, sections by turns, two source clips, two target clips, and so on
MANY = toys.pieces(
    toys.sounds([700] * 12, machines=("fan", "fan", "valve"), attributes=({},)), per_clip=3, redraw=False
)
MIXING, FROM_SOURCE = mixup(VIEW), mixup(VIEW, from_domain="source")


def test_mixing_takes_a_share_below_the_largest_from_another_class() -> None:
    rates = []
    for step in range(20):
        batch = mixed(MIXING, torch.arange(24), step)
        assert batch.mixed is not None
        assert (batch.label != batch.mixed.labels[CLASS]).all()
        rates += batch.mixed.rate.tolist()
    assert 0 <= min(rates) < 0.05
    assert 0.45 < max(rates) < 0.5


def test_partners_are_drawn_from_all_other_clips() -> None:
    made = mixup(toys.pieces(toys.sounds([700] * 6)))
    drawn = {int(made.draw(torch.tensor([2]), generator(step), torch.arange(6)).partner[0]) for step in range(200)}
    assert drawn == {1, 3, 5}


@pytest.mark.parametrize("partners", ["another_class", "same_machine", "any"])
@settings(max_examples=40)
@given(own=st.sets(st.integers(0, 35), min_size=1), seed=st.integers(0, 1000))
def test_partners_are_other_clips_of_the_phases_own_examples_by_the_rule(
    partners: str, own: set[int], seed: int
) -> None:
    """Not of another domain, which are for another phase, nor held out to measure; every possible one may be drawn."""
    made, among = mixup(MANY, partners=partners), torch.tensor(sorted(own))
    clips = MANY.clips
    found = made.draw(among, generator(seed), among)
    for example, partner, rate in zip(among.tolist(), found.partner.tolist(), found.rate.tolist(), strict=True):
        a = int(MANY.clip[example])

        def allowed(other: int, a: int = a) -> bool:
            b = int(MANY.clip[other])
            if partners == "another_class":
                return (clips.machine[a], clips.section[a]) != (clips.machine[b], clips.section[b])
            return a != b and (partners == "any" or clips.machine[a] == clips.machine[b])

        possible = {other for other in own if allowed(other)}
        assert partner in (possible or {example})
        assert possible or rate == 0
    one = torch.tensor([int(among[0])])
    drawn = {int(made.draw(one, generator(seed, step), among).partner[0]) for step in range(40)}
    if 0 < len(possible := {other for other in own if _allowed(partners, int(among[0]), other)}) <= 3:
        assert drawn == possible


def _allowed(partners: str, example: int, other: int) -> bool:
    clips, a, b = MANY.clips, int(MANY.clip[example]), int(MANY.clip[other])
    if partners == "another_class":
        return (clips.machine[a], clips.section[a]) != (clips.machine[b], clips.section[b])
    return a != b and (partners == "any" or clips.machine[a] == clips.machine[b])


@settings(max_examples=40)
@given(st.sets(st.integers(0, 23), min_size=1), st.integers(0, 1000))
def test_partners_may_be_source_clips_of_other_classes_alone(own: set[int], seed: int) -> None:
    """Where the phase's examples hold no such clip, nothing is mixed in."""
    among = torch.tensor(sorted(own))
    found = FROM_SOURCE.draw(among, generator(seed), among)
    source = {row for row in own if VIEW.clips.domain[row] == "source"}
    for row, partner in zip(among.tolist(), found.partner.tolist(), strict=True):
        allowed = {other for other in source if VIEW.labels[CLASS][other] != VIEW.labels[CLASS][row]}
        assert partner in (allowed or {row})
    assert (found.rate[found.partner == among] == 0).all()


def test_every_source_clip_of_another_class_is_a_partner_and_unknown_domains_count_as_source() -> None:
    data = toys.sounds([700] * 8)
    columns = {name: getattr(data.clips, name) for name in ("path", "machine", "section", "split", "label")}
    domains = [*data.clips.domain[:4], "", "", "target", "target"]
    clips = ClipTable.from_columns({**columns, "domain": domains, "attributes": [{}] * 8})
    made = mixup(toys.pieces(replace(data, clips=clips)), from_domain="source")
    drawn = {int(made.draw(torch.tensor([2]), generator(step), torch.arange(8)).partner[0]) for step in range(200)}
    assert drawn == {1, 5}


def test_in_a_phase_on_source_clips_the_rule_of_domains_changes_nothing() -> None:
    own = torch.from_numpy(np.flatnonzero(VIEW.clips.domain == "source"))
    for step in range(5):
        one, other = (mixed(made, own, step, own) for made in (MIXING, FROM_SOURCE))
        assert one.mixed is not None
        assert other.mixed is not None
        assert toys.same([one.x, one.mixed.clip, one.mixed.rate], [other.x, other.mixed.clip, other.mixed.rate])


def test_features_are_mixed_after_they_were_made_and_may_be_kept() -> None:
    made = mixup(MANY, place="features", partners="any", law="beta", keep=True)
    batch = mixed(made, torch.arange(36), 0)
    first, second = batch.inputs["first"], batch.inputs["second"]
    assert batch.mixed is not None
    rate = batch.mixed.rate[:, None, None]
    torch.testing.assert_close(batch.inputs["mixed"], (1 - rate) * first + rate * second)
    drawn = made.draw(torch.arange(36), generator(0), torch.arange(36))
    torch.testing.assert_close(first, MANY.batch(torch.arange(36), generator(0)).x)
    torch.testing.assert_close(second, MANY.batch(drawn.partner, generator(0)).x)
    assert toys.same(batch.mixed.labels, MANY.labels.of(batch.mixed.clip, toys.CPU))
    assert mixed(mixup(MANY, place="features"), torch.arange(3), 0).inputs.keys() == {"mixed"}


def test_windows_of_features_may_be_mixed_too() -> None:
    view = toys.view()
    batch = mixed(mixup(view, place="features", partners="any"), torch.arange(8), 0)
    assert batch.x.shape == view.batch(torch.arange(8), generator(0)).x.shape
    with pytest.raises(UserError, match="augment mixup: this view has no waveforms to mix; place: features"):
        mixup(view, partners="any")


@pytest.mark.parametrize("law", ["uniform", "beta"])
def test_one_share_for_a_batch_or_one_for_each_sample(law: str) -> None:
    each = mixed(mixup(VIEW, law=law), torch.arange(24), 0).mixed
    one = mixed(mixup(VIEW, law=law, per="batch"), torch.arange(24), 0).mixed
    assert each is not None
    assert one is not None
    assert len(each.rate.unique()) == 24
    assert len(one.rate.unique()) == 1


def test_shares_of_the_beta_law() -> None:
    """Beta(0.5, 0.5) is symmetric, of variance 1/8."""
    made = mixup(MANY, law="beta", alpha=0.5)
    rates = torch.cat([made.draw(torch.arange(36), generator(step), torch.arange(36)).rate for step in range(100)])
    assert float(rates.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(rates.var()) == pytest.approx(0.125, abs=0.01)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"largest": 1.5}, "largest is a share between 0 and 1"),
        ({"alpha": 0.0}, "alpha is above 0"),
        ({"keep": True}, "keep is of features"),
    ],
)
def test_impossible_settings(params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        mixup(VIEW, **params)
