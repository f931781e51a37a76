"""A recipe that starts from published weights: they are fetched when it is first trained, from a real (local) host."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from server import Server, running
from torchvision.models import get_model

from asdcli.download.weights import PublishedWeights, load_weights
from asdcli.errors import UserError
from asdcli.recipe.loading import RECIPES
from asdcli.stages import train
from asdcli.stages.looking.doctor import examine
from asdcli.stages.selection import select
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

NAME = "imagenet_resnet18"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for server in running():
        monkeypatch.setenv("ASD_MIRROR", server.url)
        yield server


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[PublishedWeights, bytes]:
    """A file as torchvision's, of other values, and the catalogue's entry with its checksum."""
    torch.manual_seed(3)
    torch.save(get_model("resnet18", weights=None).state_dict(), tmp_path / "file.pth")
    data = (tmp_path / "file.pth").read_bytes()
    entry = replace(load_weights(NAME), size=len(data), sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(train, "load_weights", lambda name: {NAME: entry}[name])
    return entry, data


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """padim, small, but with ImageNet weights."""
    path = shutil.copytree(RECIPES / "padim", tmp_path / "mine") / "recipe.yaml"
    small = "model: {weights: random, stride: 16, channels: 20}"
    assert small in path.read_text()
    text = path.read_text().replace(small, "model: {stride: 16, channels: 20}")
    path.write_text(text.replace("    without: [imagenet] ", "    #"))
    return path.parent


def trained(tree: Path, recipe: Path) -> list[bool]:
    chosen = {"recipe": str(recipe), "members": ["imagenet"], "machines": ["SynPump"], "profile": "smoke"}
    return [entry.fresh for entry in train.run(select(Workspace(tree), Ui(), device="cpu", **chosen))]  # type: ignore[arg-type]


def test_missing_weights_are_fetched_once_and_used(
    tree: Path, recipe: Path, server: Server, published: tuple[PublishedWeights, bytes]
) -> None:
    entry, data = published
    server.pages[entry.hosts[0].removeprefix("https://download.pytorch.org")] = data
    assert trained(tree, recipe) == [False]
    file = tree / "weights" / entry.file
    assert file.read_bytes() == data
    server.pages.clear()
    (weights,) = (tree / "runs").rglob("weights.safetensors")
    before = weights.read_bytes()
    weights.unlink()
    assert trained(tree, recipe) == [False]  # from the file that is here by now
    assert weights.read_bytes() == before


def test_weights_that_cannot_be_had_are_named_with_what_to_do(
    tree: Path, recipe: Path, server: Server, published: tuple[PublishedWeights, bytes]
) -> None:
    with pytest.raises(UserError, match=f"The weights {NAME} are not here and could not be fetched: .*404") as caught:
        trained(tree, recipe)
    assert f"asd download {NAME} --from FILE" in caught.value.hint
    assert published[0].hosts[0] in caught.value.hint
    assert f"The file has {published[0].size} bytes" in caught.value.hint
    assert not list((tree / "runs").rglob("weights.safetensors"))


def test_weights_of_a_package_that_is_not_installed_are_named_with_what_to_install(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = replace(load_weights("imagenet_efficientnet_lite0"), package="no-such-package-of-weights")
    monkeypatch.setattr(train, "load_weights", lambda name: {entry.name: entry}[name])
    chosen = {"recipe": "padim", "members": ["imagenet"], "machines": ["SynPump"], "profile": "lite0"}
    with pytest.raises(UserError, match="no-such-package-of-weights, which is not installed") as caught:
        train.run(select(Workspace(tree), Ui(), device="cpu", **chosen))  # type: ignore[arg-type]
    assert (caught.value.exit_code, "asdcli[imagenet]" in caught.value.hint) == (2, True)


def test_doctor_tells_which_recipes_need_which_weights(tmp_path: Path) -> None:
    def told() -> dict[str, tuple[str, str]]:
        found = {finding.what: (finding.state, finding.found) for finding in examine(Workspace(tmp_path))}
        return {what.removeprefix("weights "): text for what, text in found.items() if what.startswith("weights ")}

    first = told()
    assert set(first) == {NAME, "imagenet_mobilenet_v2", "imagenet_efficientnet_lite0", "beats", "eat"}
    assert first[NAME][0] == "note"
    assert first[NAME][1].startswith("not here, which padim (imagenet) starts from")
    assert "mobilenet_ae (imagenet)" in first["imagenet_mobilenet_v2"][1]
    assert "padim (imagenet, profile lite0)" in first["imagenet_efficientnet_lite0"][1]
    (tmp_path / "weights").mkdir()
    for name in (NAME, "beats"):
        (tmp_path / "weights" / load_weights(name).file).touch()
    assert told()[NAME] == ("ok", "here, which padim (imagenet) starts from")
    members = "beats_full, beats_lora, beats_pse, dual"
    assert told()["beats"] == ("ok", f"here, which aithu_2024 ({members}), frozen_encoder (beats) starts from")
