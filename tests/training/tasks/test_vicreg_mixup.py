"""Pre-training on mixtures, and fine-tuning on them: the losses written out; a collapse that is seen and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import toys
from torch import Tensor, nn
from torch.nn import functional as F

from asdcli.errors import UserError
from asdcli.nn.losses.vicreg import covariance_loss, mixture_distance, variance_loss
from asdcli.training.augments.mixup import Mixup
from asdcli.training.loop import PhaseLoop
from asdcli.training.runlog import RunLog
from asdcli.training.seeds import generator
from asdcli.training.tasks.mixed_softmax import MixedSoftmax
from asdcli.training.tasks.task import Task
from asdcli.training.tasks.vicreg_mixup import VicRegMixup
from asdcli.training.views.view import Batch
from asdcli.ui import Progress

VIEW = toys.pieces()
EXAMPLES = torch.arange(24)
KEPT = {"name": "mixup", "place": "features", "partners": "any", "law": "beta", "keep": True}


class Average(nn.Module):
    embedding_size = 5

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(33, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.mean(2))


def task(kind: type[Task], **params: Any) -> Any:
    torch.manual_seed(0)
    return kind(Average(), VIEW, **params)  # type: ignore[call-arg]


def batch() -> Batch:
    mixup = Mixup(VIEW, place="features", partners="any", law="beta", keep=True)
    return mixup(VIEW.batch, EXAMPLES, EXAMPLES, generator(0))


@pytest.mark.parametrize("distance", ["mean", "sum"])
@pytest.mark.parametrize("literal", [False, True])
def test_the_loss_is_equation_5(distance: Any, literal: bool) -> None:
    made, given = task(VicRegMixup, expand_to=7, distance=distance, literal_expander=literal), batch()
    assert given.mixed is not None
    found = made(given, generator(0))
    z, other, between = (made.expander(made.model(given.inputs[name])) for name in ("first", "second", "mixed"))
    expected = (
        25 * mixture_distance(between, z, other, given.mixed.rate, reduction=distance)
        + 25 * (variance_loss(z) + variance_loss(other))
        + (covariance_loss(z) + covariance_loss(other))
    )
    torch.testing.assert_close(found["loss"], expected)
    torch.testing.assert_close(found["deviation"], z.std(0).mean())


@pytest.mark.parametrize(("literal", "kinds"), [(False, ["Linear"]), (True, ["Linear", "BatchNorm1d", "ReLU"])])
def test_the_last_layer_of_the_expander(literal: bool, kinds: list[str]) -> None:
    layers = list(task(VicRegMixup, expand_to=7, literal_expander=literal).expander)
    assert [type(layer).__name__ for layer in layers[6:]] == kinds
    assert (layers[6].bias is None) == (not literal)


def test_fine_tuning_learns_mixed_labels() -> None:
    made, given = task(MixedSoftmax, distance_weight=0.5), batch()
    assert given.mixed is not None
    found = made(given, generator(0))
    log_p = made.classifier(made.model(given.inputs["mixed"])).log_softmax(1)
    rate, own, other = given.mixed.rate[:, None], given.label, given.mixed.labels["class"]
    target = (1 - rate) * F.one_hot(own, 2) + rate * F.one_hot(other, 2)
    divergence = (torch.xlogy(target, target) - target * log_p).sum(1).mean()
    z, second, between = (made.model(given.inputs[name]) for name in ("first", "second", "mixed"))
    torch.testing.assert_close(found["divergence"], divergence)
    distance = mixture_distance(between, z, second, given.mixed.rate)
    torch.testing.assert_close(found["loss"], divergence + 0.5 * distance)


@pytest.mark.parametrize("kind", [VicRegMixup, MixedSoftmax])
def test_without_the_parts_it_says_what_to_write(kind: type[Task]) -> None:
    with pytest.raises(UserError, match="compares mixtures with their parts") as raised:
        task(kind)(VIEW.batch(EXAMPLES, generator(0)), generator(0))
    assert raised.value.hint == "augment: [{name: mixup, place: features, keep: true}]"


def test_a_collapse_is_said_and_kept_in_the_log(tmp_path: Path) -> None:
    """With nothing that keeps the variety, all embeddings become one."""
    collapsing, said = task(VicRegMixup, expand_to=4, variance_weight=0.0, covariance_weight=0.0), []
    optimizer = {"name": "adam", "lr": 0.05, "weight_decay": 0.5}
    phase = toys.phase(epochs=30, batch_size=12, optimizer=optimizer, augment=[KEPT])
    plain = toys.loop(tmp_path, phase, collapsing, VIEW)
    loop = PhaseLoop(
        "phase1", phase, collapsing, VIEW, seed=0, device=toys.CPU, checkpoint=plain.checkpoint, log=plain.log,
        warn=said.append,
    )  # fmt: skip
    loop.run(Progress())
    assert said
    assert "the embeddings collapse: their mean deviation is 0.0" in said[-1]
    assert RunLog(tmp_path / "log.jsonl").alarms() == said
