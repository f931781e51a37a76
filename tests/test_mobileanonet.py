"""The recipe of MobileAnoNet, set against what its paper and code say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import toys

from asdcli.recipe.components import check
from asdcli.recipe.loading import load_recipe
from asdcli.recipe.schema import Method
from asdcli.stages.looking.describe import count_parameters, example_shape
from asdcli.training.tasks import TASKS
from asdcli.training.views import VIEWS

RECIPE = load_recipe("mobileanonet")


def settings(member: str = "both", edition: str = "dcase2023") -> Method:
    return RECIPE.resolve(member=member, edition=edition)


def test_the_network_has_the_size_of_table_i() -> None:
    assert count_parameters(settings()) == 101_312
    assert example_shape(settings()) == (1025, 64)


@pytest.mark.parametrize(("seconds", "code", "all_places"), [(10, 249, 250), (12, 312, 313)])
def test_a_clip_has_the_segments_of_the_published_code(seconds: int, code: int, all_places: int) -> None:
    data = toys.sounds([16_000 * seconds])
    for last, expected in ((False, code), (True, all_places)):
        params = check(VIEWS, "view", settings().view) | {"embed_last": last}
        view: Any = VIEWS["waveform_pieces"](
            replace(data, frontend=settings().frontend), np.arange(1), torch.device("cpu"), **params
        )
        segments = view.clip_examples(0)
        assert segments.shape == (expected, 1025, 64)
        assert (segments.amin((1, 2)) == 0).all()
        assert (segments.amax((1, 2)) == 1).all()
    assert len(view.clip) == 20


def test_it_is_trained_as_the_paper_says() -> None:
    phase = settings().phases["train"]
    assert (phase.epochs, phase.batch_size) == (15, 160)
    assert phase.optimizer.params == {"lr": 0.001, "weight_decay": 0.0001}
    assert (phase.schedule.name, phase.schedule.params) == ("step", {"gamma": 0.8})
    assert check(TASKS, "task", phase.task)["center_weight"] == 0.2
    assert settings().scope == "all"


def test_members_are_the_ablation_of_table_iv() -> None:
    task = {member: check(TASKS, "task", settings(member).phases["train"].task) for member in RECIPE.header.members}
    assert {member: (params["main"], params["conditions"]) for member, params in task.items()} == {
        "both": ("machine", True),
        "machine_only": ("machine", False),
        "conditions_only": ("none", True),
    }


def test_who_chose_is_said_of_each_system() -> None:
    """The paper's choice takes the results of test clips; ours takes training clips, and equal fusion nothing."""
    systems = RECIPE.header.systems
    assert {name for name, system in systems.items() if system.oracle} == {
        "best_detector",
        "best_machine_only",
        "best_conditions_only",
    }
    assert systems["steadiest"].by == "domain_gap"
    assert systems["detectors"].weights == dict.fromkeys((f"both/{name}" for name in settings().detectors), 1.0)
