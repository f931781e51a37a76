"""The recipe of the ArcFace ensemble of 2021, set against what its report says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from asdcli.audio.frontends import FRONTENDS
from asdcli.nn.backbones import BACKBONES
from asdcli.recipe.components import build, check
from asdcli.recipe.loading import load_recipe
from asdcli.recipe.schema import Method
from asdcli.training.augments import AUGMENTS
from asdcli.training.tasks.task import freeze

RECIPE = load_recipe("arcface_ensemble")


def settings(member: str, profile: str = "full") -> Method:
    return RECIPE.resolve(member=member, edition="dcase2021", profile=profile)


@pytest.mark.parametrize("member", RECIPE.header.members)
def test_edges_are_mirrored_and_clips_are_mixed_with_source_clips_of_other_sections(member: str) -> None:
    method = settings(member)
    assert check(FRONTENDS, "front end", method.frontend)["pad_mode"] == "reflect"
    for phase in method.phases.values():
        (component,) = phase.augment
        mixup = check(AUGMENTS, "augment", component)
        assert (component.name, mixup["place"], mixup["law"], mixup["largest"]) == ("mixup", "waveform", "uniform", 0.5)
        assert (mixup["partners"], mixup["from_domain"]) == ("another_class", "source")
    assert method.labels[0] == "section"
    assert (method.phases["source"].clips, method.phases["target"].sampler.name) == ("source", "one_from_target")


def test_its_submissions_average_plain_scores_and_choose_the_best_for_each_machine() -> None:
    systems = RECIPE.header.systems
    assert {system.normalisation for system in systems.values()} == {"none"}
    chosen = {name: (system.best, system.per, system.oracle) for name, system in systems.items() if system.best}
    assert chosen == {
        "best_single": (1, "machine", True),
        "best_three": (3, "machine", True),
        "best_five": (5, "machine", True),
    }
    assert systems["all"].weights == dict.fromkeys((f"{member}/cosine" for member in RECIPE.header.members), 1.0)


STAGE = {"mobilefacenet": "stages.4", "resnet50": "network.layer4", "efficientnet_b0": "network.features.7"}
BLOCK = {"mobilefacenet": "stages.4.1", "resnet50": "network.layer4.2", "efficientnet_b0": "network.features.7"}
AFTER = {
    "mobilefacenet": {"head"},
    "resnet50": {"network.fc"},
    "efficientnet_b0": {"network.features.8", "network.classifier"},
}


@pytest.mark.parametrize("member", RECIPE.header.members)
@pytest.mark.parametrize(("profile", "first"), [("full", STAGE), ("last_block", BLOCK)])
def test_what_phase_2_trains_in_each_reading_of_freezing_until_the_last_residual_block(
    member: str, profile: str, first: dict[str, str]
) -> None:
    method = settings(member, profile)
    network = method.model.name
    with torch.device("meta"):
        model = build(BACKBONES, "model", method.model, (64, 32))
    freeze(nn.ModuleDict({"model": model}), ("*",), method.phases["target"].freeze)
    trains = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    expected = tuple(f"{part}." for part in (first[network], *AFTER[network]))
    assert trains == {name for name, _ in model.named_parameters() if name.startswith(expected)}
    assert all(any(name.startswith(part) for name in trains) for part in expected)
    assert method.phases["source"].freeze == ()
