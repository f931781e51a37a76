"""Networks side by side."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers import none_published

from asdcli.errors import UserError
from asdcli.nn.branches import Branches, build_network
from asdcli.nn.pretrained import StartsPretrained
from asdcli.recipe.schema import Network

SMALL: dict[str, Any] = {"depth": 1, "width": 16, "heads": 2, "hidden": 16, "pool": "statistics", "embedding": 5}
BOTH = {"beats": {"name": "beats", **SMALL}, "eat": {"name": "eat", **SMALL, "embedding": 3}}


def test_each_makes_its_own_of_the_same_waveform() -> None:
    model = build_network(Network.model_validate({"branches": BOTH}), (6_000,)).eval()
    assert isinstance(model, Branches)
    assert (model.sizes, model.embedding_size) == ({"beats": 5, "eat": 3}, 8)
    x = 0.1 * torch.randn(2, 6_000)
    with torch.no_grad():
        vectors = model(x)
        for name, part in model.parts(vectors).items():
            assert torch.equal(part, model.branches[name](x))
    assert not any(name.startswith("branches.") for name in model.parts(vectors))
    assert isinstance(model, StartsPretrained)
    model.load_pretrained(none_published)  # both are random


def test_a_name_alone_is_that_network() -> None:
    model = build_network(Network.model_validate({"name": "beats", **SMALL}), (6_000,))
    assert type(model).__name__ == "Beats"


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ({}, "a model has either a name or branches"),
        ({"name": "beats", "branches": BOTH}, "a model has either a name or branches"),
        ({"branches": BOTH, "width": 3}, "width belongs to one of the branches"),
    ],
)
def test_what_is_neither_or_both_is_refused(model: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Network.model_validate(model)


def test_a_branch_that_cannot_be_is_named() -> None:
    wrong = Network.model_validate({"branches": {"one": {"name": "beats", "depth": 0}}})
    with pytest.raises(UserError, match="model beats: depth is 0"):
        build_network(wrong, (6_000,))
