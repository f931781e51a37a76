"""Randomness that depends only on where it is used."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from asdcli.training.seeds import derive_seed, generator

PART = st.integers(0, 10**6) | st.text("abc", min_size=1, max_size=4)
PARTS = st.lists(PART, min_size=1, max_size=4)


def test_seeds_are_the_same_on_every_machine() -> None:
    assert derive_seed(0, "train", "epoch", 3) == 5351044899849482851


@given(PARTS, PARTS)
def test_another_place_has_another_seed(one: list[int | str], other: list[int | str]) -> None:
    assert (derive_seed(*one) == derive_seed(*other)) == (list(map(str, one)) == list(map(str, other)))
    assert 0 <= derive_seed(*one) < 2**63


def test_a_generator_starts_anew_each_time() -> None:
    assert torch.equal(torch.rand(5, generator=generator(1, "a")), torch.rand(5, generator=generator(1, "a")))
    assert not torch.equal(torch.rand(5, generator=generator(1, "a")), torch.rand(5, generator=generator(2, "a")))
