"""The one loop: updates against a plain loop written out here, accumulation, schedules, freezing, stopping."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys
from torch import Tensor, nn

from asdcli.errors import UserError, WorkError
from asdcli.nn.backbones import BACKBONES
from asdcli.training.augments import AUGMENTS
from asdcli.training.loop import CHECK_EVERY
from asdcli.training.seeds import generator
from asdcli.training.tasks import TASKS
from asdcli.training.tasks.reconstruction import Reconstruction
from asdcli.training.tasks.task import Task
from asdcli.training.views.view import Batch, View
from asdcli.ui import Progress, Ui

SGD = {"name": "sgd", "lr": 0.1}


def by_hand(task: Task, view: View, groups: list[list[int]], batch: int, rates: list[float]) -> dict[str, Tensor]:
    """Plain gradient descent: each update is the mean over the given batches of phase1's one and only epoch order."""
    orders = [torch.randperm(len(view.clip), generator=generator(0, "phase1", "epoch", epoch)) for epoch in range(9)]
    batches = [part for order in orders for part in order.split(batch)]
    for group, rate in zip(groups, rates, strict=True):
        losses = [task(view.batch(batches[index], torch.Generator()), torch.Generator())["loss"] for index in group]
        task.zero_grad()
        (sum(losses) / len(group)).backward()  # type: ignore[union-attr]
        with torch.no_grad():
            for parameter in task.parameters():
                parameter -= rate * parameter.grad  # type: ignore[operator]
    return task.state_dict()


def close(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    torch.testing.assert_close(dict(one), dict(other), rtol=1e-5, atol=1e-7)


class Counting(Reconstruction):
    """Logs a share of some of a batch's examples only: of those with an even clip, how many are of clip 0."""

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        even = batch.clip % 2 == 0
        share = torch.stack([(batch.clip[even] == 0).sum(), even.sum()])
        return {**super().forward(batch, generator), "share": share, "nothing": torch.zeros(2)}


def test_a_pair_is_logged_as_the_mean_of_what_it_counts(tmp_path: Path) -> None:
    toys.run(tmp_path, toys.phase(epochs=1, batch_size=5), toys.task(kind=Counting))
    (record,) = toys.log_of(tmp_path)
    assert record["share"] == 0.25
    assert "nothing" not in record


# --- updates --------------------------------------------------------------------------------------------------------


def test_one_update_per_batch(tmp_path: Path) -> None:
    trained = toys.run(tmp_path, toys.phase(epochs=2, optimizer=SGD))
    close(trained.state_dict(), by_hand(toys.task(), toys.view(), [[i] for i in range(12)], 4, [0.1] * 12))


def test_steps_end_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    trained = toys.run(tmp_path, toys.phase(steps=8, optimizer=SGD))
    close(trained.state_dict(), by_hand(toys.task(), toys.view(), [[i] for i in range(8)], 4, [0.1] * 8))
    assert [(record["epoch"], record["step"]) for record in toys.log_of(tmp_path)] == [(0, 6), (1, 8)]


@pytest.mark.parametrize("accumulate", [2, 3])
def test_accumulated_batches_are_one_large_batch(tmp_path: Path, accumulate: int) -> None:
    small = toys.run(tmp_path / "a", toys.phase(epochs=2, batch_size=4, accumulate=accumulate, optimizer=SGD))
    large = toys.run(tmp_path / "b", toys.phase(epochs=2, batch_size=4 * accumulate, optimizer=SGD))
    close(small.state_dict(), large.state_dict())
    assert not torch.allclose(small.state_dict()["model.encoder.weight"], toys.task().model.encoder.weight)  # type: ignore[union-attr]


def test_the_last_update_is_the_mean_of_the_batches_it_has(tmp_path: Path) -> None:
    trained = toys.run(tmp_path, toys.phase(steps=7, accumulate=3, optimizer=SGD))
    close(trained.state_dict(), by_hand(toys.task(), toys.view(), [[0, 1, 2], [3, 4, 5], [6]], 4, [0.1] * 3))


def test_the_schedule_counts_updates(tmp_path: Path) -> None:
    schedule = {"name": "cosine", "warmup": 2}
    trained = toys.run(tmp_path, toys.phase(epochs=2, accumulate=2, optimizer=SGD, schedule=schedule))
    factors = [1 / 3, 2 / 3, 1, 0.853553, 0.5, 0.146447]
    groups = [[2 * i, 2 * i + 1] for i in range(6)]
    close(trained.state_dict(), by_hand(toys.task(), toys.view(), groups, 4, [0.1 * factor for factor in factors]))
    assert [record["lr"] for record in toys.log_of(tmp_path)] == pytest.approx([0.1, 0.0146447], rel=1e-4)


def test_gradients_are_clipped_to_their_norm(tmp_path: Path) -> None:
    before = toys.task()
    after = toys.run(tmp_path, toys.phase(steps=1, optimizer=SGD, gradient_clip_norm=0.01), copy.deepcopy(before))
    moved = torch.cat([(a - b).flatten() for a, b in zip(after.parameters(), before.parameters(), strict=True)])
    assert moved.norm().item() == pytest.approx(0.1 * 0.01, rel=1e-3)


def test_a_last_batch_of_one_is_left_out(tmp_path: Path) -> None:
    data = toys.view(toys.clips([6] * 7))  # 21 windows: five batches of four, and one window
    network = toys.task(toys.Noisy)  # whose batch norm refuses a single example
    toys.run(tmp_path, toys.phase(epochs=2), network, data)
    assert [record["step"] for record in toys.log_of(tmp_path)] == [5, 10]


@pytest.mark.parametrize(("windows", "batch"), [(1, 4), (9, 1)])
def test_a_batch_of_one_that_batch_norm_refuses_is_said(tmp_path: Path, windows: int, batch: int) -> None:
    data = toys.view(toys.clips([2 * windows]))
    with pytest.raises(UserError, match="Phase phase1 has a batch of one example"):
        toys.run(tmp_path, toys.phase(batch_size=batch), toys.task(toys.Noisy), data)
    toys.run(tmp_path, toys.phase(batch_size=batch), toys.task(), data)  # a network without them has no need of more


def test_half_precision_is_for_gpus(tmp_path: Path) -> None:
    half = toys.run(tmp_path / "a", toys.phase(precision="bfloat16"))
    assert toys.same(half.state_dict(), toys.run(tmp_path / "b", toys.phase()).state_dict())


# --- the log --------------------------------------------------------------------------------------------------------


def test_the_log_holds_the_mean_loss_of_each_epoch(tmp_path: Path) -> None:
    phase = toys.phase(epochs=2, batch_size=5, optimizer={"name": "sgd", "lr": 0}, validation={"fraction": 0.25})
    one = toys.loop(tmp_path, phase, toys.task())
    one.run(Progress())
    records = toys.log_of(tmp_path)
    view = toys.view()
    kept = torch.tensor([number for number in range(24) if number not in one.held_out.tolist()])
    for record in records:
        for key, examples in (("loss", kept), ("validation_loss", one.held_out)):
            with torch.no_grad():
                expected = one.task(view.batch(examples, torch.Generator()), torch.Generator())["loss"]
            assert record[key] == pytest.approx(expected.item(), rel=1e-6)
        assert {key: record[key] for key in ("phase", "lr")} == {"phase": "phase1", "lr": 0}
    assert [record["epoch"] for record in records] == [0, 1]
    assert len(one.held_out) == 6


def test_validation_runs_in_evaluation_mode(tmp_path: Path) -> None:
    class Dropping(toys.Linear):
        def __init__(self, input_shape: tuple[int, ...]) -> None:
            super().__init__(input_shape)
            self.encoder = nn.Sequential(self.encoder, nn.BatchNorm1d(2), nn.Dropout(0.5))  # type: ignore[assignment]

    one = toys.loop(tmp_path, toys.phase(epochs=2, validation={"fraction": 0.25}), toys.task(Dropping))
    one.run(Progress())
    batch = toys.view().batch(one.held_out, torch.Generator())
    with torch.no_grad():  # the statistics and weights of the last epoch are the final ones
        expected = one.task.eval()(batch, torch.Generator())["loss"].item()
    assert toys.log_of(tmp_path)[-1]["validation_loss"] == pytest.approx(expected, rel=1e-6)


def test_the_log_holds_whatever_else_the_task_says(tmp_path: Path) -> None:
    toys.run(tmp_path, toys.phase(), toys.task(kind=toys.Drawing))
    draws = [record["draw"] for record in toys.log_of(tmp_path)]
    assert len(set(draws)) == 3
    assert all(0 < draw < 1 for draw in draws)


def test_times_are_logged_too(tmp_path: Path) -> None:
    toys.run(tmp_path, toys.phase())
    for line in (tmp_path / "log.jsonl").read_text().splitlines():
        record = json.loads(line)
        assert record["seconds"] >= 0
        assert record["clips_per_s"] > 0


def test_progress_ends_at_the_last_step(tmp_path: Path) -> None:
    shown: list[tuple[float, str]] = []

    class Bar(Progress):
        def show(self, done: float, figures: str = "") -> None:
            shown.append((done, figures))

    one = toys.loop(tmp_path, toys.phase(steps=CHECK_EVERY + 20), toys.task())
    one.run(Bar())
    steps = [done for done, _ in shown]
    assert steps == sorted(steps)
    assert steps[-1] == one.total_steps == CHECK_EVERY + 20
    assert any(done == CHECK_EVERY and "loss " in figures and "clips/s" in figures for done, figures in shown)


# --- freezing -------------------------------------------------------------------------------------------------------


def test_frozen_parameters_and_statistics_stay(tmp_path: Path) -> None:
    own = toys.task(toys.Noisy)
    before = copy.deepcopy(own.state_dict())
    toys.run(tmp_path, toys.phase(freeze=("model.encoder.*",), optimizer={"name": "adamw", "lr": 0.1}), own)
    moved = {name for name, value in own.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"model.decoder.weight", "model.decoder.bias"}
    own = toys.task(toys.Noisy)
    toys.run(tmp_path, toys.phase(freeze=("model.decoder.*",)), own)
    moved = {name for name, value in own.state_dict().items() if not torch.equal(value, before[name])}
    assert {"model.encoder.0.weight", "model.encoder.1.running_mean", "model.encoder.1.weight"} <= moved
    assert not {"model.decoder.weight", "model.decoder.bias"} & moved


def test_a_pattern_that_matches_nothing_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"freeze: no parameter is called 'model\.encodr\.\*'.*model\.encoder\.weight"):
        toys.run(tmp_path, toys.phase(freeze=("model.decoder.*", "model.encodr.*")))


def test_freezing_everything_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Phase phase1 freezes every parameter"):
        toys.run(tmp_path, toys.phase(freeze=("model.*",)))


# --- stopping -------------------------------------------------------------------------------------------------------


def with_one_bad_clip(bad: int, value: float) -> View:
    data = toys.clips([6] * 8)
    (features,) = data.features
    features.frames[features.offsets[bad]] = value
    return toys.view(data)


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e30])
def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path, value: float) -> None:
    with pytest.raises(
        WorkError, match=r"The loss of phase phase1 is (nan|inf) at step \d+; training stopped"
    ) as caught:
        toys.run(tmp_path, toys.phase(), data=with_one_bad_clip(3, value))
    assert "learning rate" in caught.value.hint
    assert toys.log_of(tmp_path) == [] if (tmp_path / "log.jsonl").exists() else True


def test_a_rate_that_is_too_high_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="training stopped"):
        toys.run(tmp_path, toys.phase(epochs=100, optimizer={"name": "sgd", "lr": 1e6}))


def test_a_validation_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    phase = toys.phase(validation={"fraction": 0.1, "pick": "last"}, keep="best")
    with pytest.raises(WorkError, match="training stopped"):
        toys.run(tmp_path, phase, data=with_one_bad_clip(7, np.inf))


def test_a_loss_of_minus_infinity_is_not_finite_either(tmp_path: Path) -> None:
    class Sinking(toys.Reconstruction):
        def forward(self, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
            return {"loss": super().forward(batch, generator)["loss"].mul(0).add(1e-46).log()}

    with pytest.raises(WorkError, match="is -inf"):
        toys.run(tmp_path, toys.phase(steps=1), toys.task(kind=Sinking))


def test_patience_stops_where_nothing_improves(tmp_path: Path) -> None:
    still = toys.phase(epochs=20, patience=3, validation={"fraction": 0.25}, optimizer={"name": "sgd", "lr": 0})
    toys.run(tmp_path, still)
    assert len(toys.log_of(tmp_path)) == 1 + 3


def test_keep_best_returns_the_epoch_with_the_lowest_validation_loss(tmp_path: Path) -> None:
    few = toys.view(toys.clips([2] * 8))  # four windows to learn by heart, four to measure

    def trained(folder: str, **changes: Any) -> dict[str, Tensor]:
        optimizer = {"name": "adam", "lr": 0.03}
        phase = toys.phase(batch_size=4, validation={"fraction": 0.5}, optimizer=optimizer, **changes)
        return toys.run(tmp_path / folder, phase, toys.task(width=6), few).state_dict()

    kept = trained("a", epochs=40, keep="best")
    losses = [record["validation_loss"] for record in toys.log_of(tmp_path / "a")]
    best = int(np.argmin(losses))
    assert 0 < best < 39
    assert toys.same(kept, trained("b", epochs=best + 1))
    assert not toys.same(kept, trained("c", epochs=40))
    assert toys.same(trained("d", epochs=40, keep="best", patience=39), kept)


# --- what cannot be trained -----------------------------------------------------------------------------------------


def test_no_clips_of_a_domain_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Phase phase1 has no training clips \(clips: target\)"):
        toys.run(tmp_path, toys.phase(clips="target"))


def test_clips_of_one_domain(tmp_path: Path) -> None:
    data = toys.clips([6] * 8, ["source", "target"] * 4)
    one = toys.loop(tmp_path, toys.phase(clips="target", epochs=1), toys.task(), toys.view(data))
    assert sorted(one.sampler.examples.tolist()) == [3, 4, 5, 9, 10, 11, 15, 16, 17, 21, 22, 23]
    assert one.total_steps == 3


def test_a_phase_mixes_its_own_examples_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held out is not trained on by being mixed in, and a phase on one domain hears nothing of the other."""
    data = toys.clips([2] * 12, domains=["source", "source", "target"] * 4)
    view, asked = toys.view(data), []

    def noting(make: Any, among: Tensor, examples: Tensor, draw: torch.Generator) -> Batch:
        asked.append(among)
        return make(examples, draw)

    monkeypatch.setitem(AUGMENTS, "noting", lambda view: noting)
    phase = toys.phase(clips="source", epochs=1, validation={"fraction": 0.25}, augment=["noting"])
    one = toys.loop(tmp_path, phase, toys.task(), view)
    one.run(Progress())
    sets = {tuple(among.tolist()) for among in asked}
    training, held_out = (set(part.tolist()) for part in (one.training, one.held_out))
    assert {frozenset(each) for each in sets} == {frozenset(training), frozenset(held_out)}
    assert not training & held_out
    domains = view.clips.domain[view.clip.numpy()]
    assert {domains[number] for number in training | held_out} == {"source"}


# --- all phases of a run --------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, "linear", toys.Linear)
    monkeypatch.setitem(BACKBONES, "noisy", toys.Noisy)
    monkeypatch.setitem(TASKS, "drawing", toys.Drawing)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    chosen = toys.method(toys.phase(task="drawing", validation={"fraction": 0.25}), model="noisy")
    weights = [toys.train_all(tmp_path / str(number), chosen, seed=seed) for number, seed in enumerate((0, 0, 1))]
    assert toys.same(weights[0], weights[1])
    assert toys.log_of(tmp_path / "0") == toys.log_of(tmp_path / "1")
    assert not toys.same(weights[0], weights[2])


def test_the_seed_moves_the_order_and_not_only_the_start(tmp_path: Path) -> None:
    ends = [toys.run(tmp_path / str(seed), toys.phase(), toys.task(seed=0), seed=seed) for seed in (0, 1)]
    assert not toys.same(ends[0].state_dict(), ends[1].state_dict())


def test_the_state_of_the_global_generator_does_not_matter(tmp_path: Path) -> None:
    chosen = toys.method(toys.phase(), toys.phase(steps=2), model="noisy")
    torch.manual_seed(1)
    first = toys.train_all(tmp_path / "a", chosen)
    torch.manual_seed(2)
    assert toys.same(toys.train_all(tmp_path / "b", chosen), first)


def test_a_phase_starts_with_the_weights_of_the_one_before(tmp_path: Path) -> None:
    still = toys.phase(steps=1, optimizer={"name": "sgd", "lr": 0})
    one = toys.train_all(tmp_path / "a", toys.method(toys.phase()))
    assert toys.same(toys.train_all(tmp_path / "b", toys.method(toys.phase(), still)), one)
    assert not toys.same(toys.train_all(tmp_path / "c", toys.method(still)), one)
    assert [record["phase"] for record in toys.log_of(tmp_path / "b")] == ["phase1"] * 3 + ["phase2"]


def test_a_head_of_another_shape_starts_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Headed(toys.Reconstruction):
        def __init__(self, model: nn.Module, view: View, *, outputs: int = 2) -> None:
            super().__init__(model, view)
            self.head = nn.Linear(2, outputs)

        def forward(self, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
            code = self.model.encoder(batch.x.flatten(1))  # type: ignore[operator, union-attr]
            return {"loss": super().forward(batch, generator)["loss"] + self.head(code).square().mean()}

    monkeypatch.setitem(TASKS, "headed", Headed)
    still = {"steps": 1, "optimizer": {"name": "sgd", "lr": 0}}
    learn = toys.phase(task={"name": "headed", "outputs": 2})
    one = toys.train_all(tmp_path / "a", toys.method(learn))
    same = toys.train_all(
        tmp_path / "b", toys.method(learn, toys.phase(task={"name": "headed", "outputs": 2}, **still))
    )
    other = toys.train_all(
        tmp_path / "c", toys.method(learn, toys.phase(task={"name": "headed", "outputs": 3}, **still))
    )
    assert toys.same(same, one)
    assert other["head.weight"].shape == (3, 2)
    assert toys.same(
        {key: other[key] for key in other if "model" in key}, {key: one[key] for key in one if "model" in key}
    )


def test_a_phase_freezes_for_itself_alone(tmp_path: Path) -> None:
    chosen = toys.method(toys.phase(freeze=("model.encoder.*",)), toys.phase())
    one = toys.train_all(tmp_path / "a", toys.method(chosen.phases["phase1"]))
    both = toys.train_all(tmp_path / "b", chosen)
    assert not torch.equal(one["model.encoder.weight"], both["model.encoder.weight"])


def test_a_run_says_where_it_goes_on(tmp_path: Path) -> None:
    heard: list[str] = []

    class Listener(Ui):
        def say(self, text: str) -> None:
            heard.append(text)

    chosen = toys.method(toys.phase())
    for _ in range(2):
        toys.train_all(tmp_path, chosen, title="train ae fan", ui=Listener())
    assert heard == ["train ae fan: going on at phase phase1, step 18"]
