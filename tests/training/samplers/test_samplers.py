"""Every registered sampler, built with its defaults, and the order of batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import toys
from hypothesis import given
from hypothesis import strategies as st

from asdcli.recipe.components import Component, build
from asdcli.training.samplers import SAMPLERS
from asdcli.training.seeds import generator

PIECES = toys.pieces()


def sampler(name: str, examples: list[int], batch_size: int, **params: Any) -> Any:
    view = toys.view() if name == "shuffle" else PIECES
    return build(SAMPLERS, "sampler", Component(name=name, **params), view, torch.tensor(examples), batch_size)


def epoch(chosen: Any, number: int = 0, skip: int = 0) -> list[list[int]]:
    return [batch.tolist() for batch in chosen.epoch(generator("test", number), skip=skip)]


# Example 2 is of the target domain, which some samplers need.
SUBSETS = st.sets(st.integers(0, 23)).map(lambda examples: sorted({2, *examples}))


@pytest.mark.parametrize("name", SAMPLERS)
@given(examples=SUBSETS, batch_size=st.integers(1, 30))
def test_an_epoch_has_as_many_batches_as_promised(name: str, examples: list[int], batch_size: int) -> None:
    chosen = sampler(name, examples, batch_size)
    batches = epoch(chosen)
    assert len(batches) == chosen.batches >= 1
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    assert {example for batch in batches for example in batch} <= set(examples)


@pytest.mark.parametrize("name", SAMPLERS)
@given(examples=SUBSETS, batch_size=st.integers(1, 8), skip=st.integers(0, 30))
def test_skipping_gives_the_rest_of_the_same_epoch(name: str, examples: list[int], batch_size: int, skip: int) -> None:
    chosen = sampler(name, examples, batch_size)
    assert epoch(chosen, skip=skip) == epoch(chosen)[skip:]


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_order_depends_on_the_generator_alone(name: str) -> None:
    chosen = sampler(name, list(range(24)), 4)
    assert epoch(chosen) == epoch(chosen) == epoch(sampler(name, list(range(24)), 4))
    assert epoch(chosen, 0) != epoch(chosen, 1)


@given(examples=SUBSETS, batch_size=st.integers(1, 30))
def test_shuffle_draws_every_example_once(examples: list[int], batch_size: int) -> None:
    drawn = sorted(example for batch in epoch(sampler("shuffle", examples, batch_size)) for example in batch)
    left_out = len(examples) > batch_size > 1 and len(examples) % batch_size == 1
    assert len(drawn) == len(set(drawn)) == len(examples) - left_out
    assert set(drawn) <= set(examples)


@given(examples=SUBSETS, batch_size=st.integers(2, 30))
def test_even_batches_differ_by_one_example_at_most(examples: list[int], batch_size: int) -> None:
    chosen = sampler("shuffle", examples, batch_size, even=True)
    batches = epoch(chosen)
    sizes = [len(batch) for batch in batches]
    assert len(batches) == chosen.batches
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) > 1 or len(sizes) == 1
    assert len(examples) - sum(sizes) <= (batch_size == 2)
    assert epoch(chosen, skip=1) == batches[1:]


def test_shuffle_leaves_a_last_batch_of_one_out_but_no_other() -> None:
    def sizes(count: int, batch_size: int) -> list[int]:
        return [len(batch) for batch in epoch(sampler("shuffle", list(range(count)), batch_size))]

    assert sizes(9, 4) == [4, 4]
    assert sizes(10, 4) == [4, 4, 2]
    assert sizes(3, 1) == [1, 1, 1]
    assert sizes(1, 4) == [1]
    chosen = sampler("shuffle", list(range(9)), 4)
    drawn = [{example for batch in epoch(chosen, number) for example in batch} for number in range(20)]
    assert set.union(*drawn) == set(range(9))  # it is another one each time
