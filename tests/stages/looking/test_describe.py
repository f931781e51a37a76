"""Components that are right by themselves and wrong together are an error of the recipe."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from asdcli.errors import UserError
from asdcli.recipe.loading import RECIPES, Recipe, load_recipe
from asdcli.recipe.schema import Network
from asdcli.stages.looking.describe import check_components, count_macs, count_parameters

ODDS = "\ndetectors:\n  odds: {name: class_log_odds}\n"


def checked(tmp_path: Path, shipped: str) -> None:
    """A shipped recipe with a detector more is checked for each of its members."""
    folder = Path(shutil.copytree(RECIPES / shipped, tmp_path / shipped))
    path = folder / "recipe.yaml"
    path.write_text(path.read_text().replace("\ndetectors:\n", ODDS))
    recipe = Recipe(folder)
    for member in recipe.header.members:
        check_components(recipe.resolve(member=member))


def test_log_odds_of_classes_that_are_not_of_clips_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        checked(tmp_path, "ssl_classifier")
    path = tmp_path / "ssl_classifier" / "recipe.yaml"
    line = path.read_text().splitlines().index("  odds: {name: class_log_odds}") + 1
    assert str(raised.value) == (
        f"{path}, line {line}: detectors.odds: class_log_odds goes by the clips' classes, "
        "but those of the view transformed_pieces are not of clips."
    )


def test_log_odds_of_the_clips_classes_are_accepted(tmp_path: Path) -> None:
    checked(tmp_path, "baseline_mobilenetv2")


def test_parameters_and_multiply_accumulates_of_the_official_baseline() -> None:
    """640-128-128-128-128-8 and back: one multiplication with each weight, none with the biases and batch norms."""
    method = Recipe(RECIPES / "baseline_ae").resolve(member="ae")
    assert count_parameters(method) == 267_928
    assert count_macs(method) == 2 * (640 * 128 + 3 * 128 * 128 + 128 * 8)


def test_where_the_clips_decide_the_length_of_an_example_nothing_is_counted() -> None:
    assert count_macs(Recipe(RECIPES / "padim").resolve(member="random")) is None


def test_multiply_accumulates_of_convolutional_networks() -> None:
    """0.083 and 0.0155 thousand millions, as others count them, those of batch norms and biases aside."""
    assert count_macs(load_recipe("mobileanonet").resolve(member="both")) == 82_969_088
    assert count_macs(load_recipe("vicreg_mixup").resolve(member="pretrained")) == 15_342_080


def test_attention_counts_too() -> None:
    """A layer of EAT: queries, keys, values, output, feed-forward, and each of 513 tokens with all."""
    method = load_recipe("frozen_encoder").resolve(member="random_eat", profile="smoke")

    def macs(depth: int) -> int:
        model = Network.model_validate({**method.model.model_dump(), "depth": depth})
        return count_macs(method.model_copy(update={"model": model})) or 0

    width, hidden, tokens = 48, 96, 513
    assert macs(2) - macs(1) == tokens * (4 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width
