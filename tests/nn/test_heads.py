"""Masked heads against a linear layer and a batch norm of torch for each, over the examples that have its label."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from asdcli.nn.heads import MaskedHeads

SIZE = 5
CONDITIONS_2023 = [11, 8, 4, 9, 11, 17, 10, 10, 5, 10, 5, 4, 4, 4, 3, 3, 6, 3, 6, 4, 6, 4, 6, 4]


class Plain(nn.Module):
    """What the heads stand for, one at a time."""

    def __init__(self, heads: MaskedHeads, classes: list[int]) -> None:
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(SIZE, count, bias=False) for count in classes)
        self.norm = nn.ModuleList(nn.BatchNorm1d(count) for count in classes)
        for number, weight in enumerate(heads.weight.detach().split(classes)):
            self.linear[number].weight.data = weight.clone()
            begin = sum(classes[:number])
            own = slice(begin, begin + classes[number])
            self.norm[number].weight.data = heads.norm_weight.detach()[own].clone()
            self.norm[number].bias.data = heads.norm_bias.detach()[own].clone()

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The sum of all cross-entropies."""
        total = x.new_zeros(())
        for linear, norm, label in zip(self.linear, self.norm, labels.T, strict=True):
            rows = label >= 0
            if rows.sum() > 1 or (rows.any() and not self.training):
                total = total + F.cross_entropy(norm(linear(x[rows])), label[rows], reduction="sum")
        return total


def made(classes: list[int], seed: int) -> tuple[MaskedHeads, Plain]:
    torch.manual_seed(seed)
    heads = MaskedHeads(SIZE, classes)
    nn.init.uniform_(heads.norm_weight, 0.5, 2)
    nn.init.normal_(heads.norm_bias)
    return heads, Plain(heads, classes)


@given(st.lists(st.integers(2, 5), min_size=1, max_size=4), st.integers(1, 12), st.integers(0, 1000), st.floats(0, 1))
def test_each_head_is_a_linear_layer_and_a_batch_norm_over_its_own_examples(
    classes: list[int], batch: int, seed: int, share: float
) -> None:
    heads, plain = made(classes, seed)
    for step in range(3):  # running averages after several batches, then without training
        if step == 2:
            heads.eval(), plain.eval()
        x = torch.randn(batch, SIZE, requires_grad=True)
        labels = torch.stack([torch.randint(count, (batch,)) for count in classes], 1)
        labels[torch.rand(labels.shape) < share] = -1
        found, expected = heads(x, labels).loss.sum(), plain(x, labels)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        if expected.requires_grad:
            ours, theirs = (torch.autograd.grad(loss, x, retain_graph=True)[0] for loss in (found, expected))
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    means = torch.cat([norm.running_mean for norm in plain.norm])  # type: ignore[misc]
    variances = torch.cat([norm.running_var for norm in plain.norm])  # type: ignore[misc]
    torch.testing.assert_close(heads.running_mean, means, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(heads.running_variance, variances, rtol=1e-4, atol=1e-5)


def test_an_example_without_a_label_does_not_touch_the_head() -> None:
    heads, _ = made([3, 4], 0)
    x, labels = torch.randn(6, SIZE), torch.tensor([[0, -1], [1, -1], [2, -1], [-1, 0], [-1, 3], [-1, 1]])
    torch.manual_seed(1)
    changed = x.clone()
    changed[3:] = 100 * torch.randn(3, SIZE)
    state = {name: value.clone() for name, value in heads.state_dict().items()}
    one = heads(x, labels)
    heads.load_state_dict(state)
    other = heads(changed, labels)
    assert torch.equal(one.loss[:, 0], other.loss[:, 0])
    assert (one.loss[3:, 0] == 0).all()
    other.loss[:, 0].sum().backward()
    assert heads.weight.grad is not None
    assert (heads.weight.grad[3:] == 0).all()


def test_a_head_with_a_single_example_in_the_batch_is_left_out() -> None:
    heads, _ = made([2, 2], 0)
    before = heads.running_mean.clone()
    found = heads(torch.randn(3, SIZE), torch.tensor([[0, 1], [1, -1], [0, -1]]))
    assert found.counts.sum(0).tolist() == [3, 0]
    assert (found.loss[:, 1] == 0).all()
    assert torch.equal(heads.running_mean[2:], before[2:])
    assert not torch.equal(heads.running_mean[:2], before[:2])


def test_24_heads_of_2023_have_the_published_number_of_parameters() -> None:
    """20,410: 157 classes, each with 128 weights and the two of its batch norm."""
    heads = MaskedHeads(128, CONDITIONS_2023)
    assert sum(weight.numel() for weight in heads.parameters()) == 20_410


def test_hits_are_of_the_likeliest_class() -> None:
    heads = MaskedHeads(2, [2, 3]).eval()
    heads.weight.data = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1], [-1, -1]])
    found = heads(torch.tensor([[2.0, 1], [1, 2], [-1, -3]]), torch.tensor([[0, 0], [0, 1], [-1, 2]]))
    assert found.hit.tolist() == [[True, True], [False, True], [False, True]]
    scale = 1 / math.sqrt(1 + 1e-5)
    expected = F.cross_entropy(torch.tensor([[2.0, 1]]) * scale, torch.tensor([0]))
    torch.testing.assert_close(found.loss[0, 0], expected)
