"""Machine type and conditions together: what each option makes of the same batch, written out head by head."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import toys
from torch import Tensor, nn
from torch.nn import functional as F

from asdcli.errors import UserError
from asdcli.training.seeds import generator
from asdcli.training.tasks.machine_conditions import MachineConditions
from asdcli.training.views.view import View

KNOWN = ({"spd": "1", "mic": "a"}, {"pat": "A"}, {"spd": "2", "mic": "b"}, {"pat": "B"}, {"spd": "1"}, {})
EXAMPLES = torch.arange(12)


class Average(nn.Module):
    """The mean over time of the first values of each piece: an embedding to check by hand."""

    embedding_size = 4

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :4].mean(2)


def view(attributes: tuple[dict[str, str], ...] = KNOWN, machines: tuple[str, ...] = ("fan", "valve")) -> View:
    return toys.pieces(toys.sounds([640] * 12, machines=machines, attributes=attributes), redraw=False)


def task(own: View, **params: Any) -> MachineConditions:
    torch.manual_seed(0)
    return MachineConditions(Average(), own, **params)


def normed(scores: Tensor) -> Tensor:
    return (scores - scores.mean(0)) / (scores.var(0, correction=0) + 1e-5).sqrt()


def losses(own: View, **params: Any) -> dict[str, Tensor]:
    return task(own, **params)(own.batch(EXAMPLES, generator(0)), generator(0))


def test_the_loss_is_that_of_machine_center_and_conditions() -> None:
    own = view()
    made = task(own)
    batch = own.batch(EXAMPLES, generator(0))
    found = made(batch, generator(0))
    x = made.model(batch.x)
    machine = EXAMPLES % 2
    main = F.cross_entropy(normed(x @ made.main.weight.T), machine)
    center = (x - made.center.centres[machine]).square().sum(1).mean()
    heads = []
    for name, rows, values, columns in [
        ("fan spd", [0, 2, 4, 6, 8, 10], [0, 1, 0, 0, 1, 0], slice(0, 2)),
        ("fan mic", [0, 2, 6, 8], [0, 1, 0, 1], slice(2, 4)),
        ("valve pat", [1, 3, 7, 9], [0, 1, 0, 1], slice(4, 6)),
    ]:
        scores, label = normed(x[rows] @ made.conditions.weight[columns].T), torch.tensor(values)
        heads.append(F.cross_entropy(scores, label))
        assert found[f"accuracy {name}"].tolist() == [(scores.argmax(1) == label).sum(), len(rows)]
    conditions = sum(heads) / 3
    torch.testing.assert_close(found["main_loss"], main)
    torch.testing.assert_close(found["center_loss"], center)
    torch.testing.assert_close(found["condition_loss"], conditions)
    torch.testing.assert_close(found["loss"], main + 0.2 * center + conditions)
    samples = losses(own, condition_sum="samples")["condition_loss"]
    torch.testing.assert_close(samples, (6 * heads[0] + 4 * heads[1] + 4 * heads[2]) / 12)


def test_members_of_the_ablation() -> None:
    own = view()
    whole, machine, conditions = (losses(own, **params) for params in ({}, {"conditions": False}, {"main": "none"}))
    assert "condition_loss" not in machine
    assert "main_loss" not in conditions
    assert "center_loss" not in conditions
    torch.testing.assert_close(machine["loss"], whole["main_loss"] + 0.2 * whole["center_loss"])
    assert conditions["loss"] == conditions["condition_loss"]


def test_sections_may_be_the_main_classes() -> None:
    """Fan has section 00 and valve 01: other labels, as many classes."""
    found = task(view(machines=("fan",)), main="class")
    assert found.main.weight.shape == (2, 4)


def test_attributes_left_out_make_no_head() -> None:
    assert "accuracy fan mic" not in losses(view(), leave_out=["mic"])


def test_the_published_code_has_a_bias_in_place_of_the_main_heads_norm() -> None:
    own = view()
    made = task(own, main_norm=False)
    batch = own.batch(EXAMPLES, generator(0))
    assert isinstance(made.main, nn.Linear)
    logits = made.main(made.model(batch.x))
    torch.testing.assert_close(made(batch, generator(0))["main_loss"], F.cross_entropy(logits, EXAMPLES % 2))


def test_machines_without_attributes_train_the_main_head_alone() -> None:
    """An attribute with a single value tells nothing apart either."""
    found = losses(view(attributes=({}, {"spd": "1"})))
    assert "condition_loss" not in found
    assert found["loss"].isfinite()
    with pytest.raises(UserError, match="nothing to learn: no machine's training clips have an attribute"):
        task(view(attributes=({},)), main="none")


def test_one_machine_has_no_types_to_tell_apart() -> None:
    with pytest.raises(UserError, match="no labels 'machine' with two classes or more; there are: class, fan spd"):
        task(view(machines=("fan",)))


def test_a_clip_is_the_mean_of_its_pieces() -> None:
    own = view()
    made = task(own).eval()
    pieces = [own.clip_examples(0), own.clip_examples(1)[:2]]
    found = made.embed(torch.cat(pieces), [3, 2])["embedding"]
    torch.testing.assert_close(found, torch.stack([made.model(part).mean(0) for part in pieces]))
