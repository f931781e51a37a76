"""A network that stays as it starts."""

from __future__ import annotations

import pytest
import torch
import toys
from torch import Tensor, nn

from asdcli.errors import UserError
from asdcli.training.seeds import generator
from asdcli.training.tasks.frozen import Frozen


class Average(nn.Module):
    embedding_size = 33

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(2)


def test_a_clip_is_the_mean_of_what_the_network_makes() -> None:
    view = toys.pieces()
    pieces = [view.clip_examples(0), view.clip_examples(1)[:2]]
    found = Frozen(Average(), view).embed(torch.cat(pieces), [3, 2])["embedding"]
    torch.testing.assert_close(found, torch.stack([part.mean(2).mean(0) for part in pieces]))


def test_a_clip_may_be_pooled_otherwise_and_over_tokens() -> None:
    view = toys.pieces()
    examples = torch.cat([view.clip_examples(0), view.clip_examples(1)[:2]])
    found = Frozen(Average(), view).pooled(examples, [3, 2], lambda values: values.amax(0))["embedding"]
    torch.testing.assert_close(found, torch.stack([part.mean(2).amax(0) for part in examples.split([3, 2])]))
    tokens = Frozen(nn.Identity(), view).pooled(examples, [3, 2], lambda values: values.amax(0))["embedding"]
    torch.testing.assert_close(tokens, torch.stack([part.amax((0, 1)) for part in examples.split([3, 2])]))


def test_it_cannot_be_trained() -> None:
    view = toys.pieces()
    with pytest.raises(UserError, match="frozen has nothing to train"):
        Frozen(Average(), view)(view.batch(torch.arange(2), generator(0)), generator(0))
