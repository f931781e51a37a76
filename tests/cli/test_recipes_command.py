"""`asd recipes`: what there is, and one recipe as it will run."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest
import yaml
from helpers import invoke

from asdcli.recipe.loading import load_recipe, recipe_names
from asdcli.stages.looking.describe import resolved


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_shown_whole_and_without_cross_references(name: str) -> None:
    recipe = load_recipe(name)
    member = list(recipe.header.members)[-1]
    shown = invoke("recipes", "show", name, "--member", member, "--profile", "smoke")
    assert "&id" not in shown
    read = yaml.safe_load(shown)
    assert (read.pop("recipe"), read.pop("member")) == (name, member)
    method = yaml.safe_load(yaml.safe_dump(resolved(recipe.resolve(member=member, profile="smoke"))))
    assert {key: read[key] for key in method} == method


def test_a_misspelt_machine_is_said(asd: Callable[..., CompletedProcess[str]]) -> None:
    assert "called 'fann'. Did you mean 'fan'?" in asd("recipes", "show", "baseline_ae", "--machine", "fann").stderr
    assert asd("recipes", "show", "baseline_ae", "--machine", "fan").stderr == ""
