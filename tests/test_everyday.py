"""The recipe to run first: its members are those of the recipes that it names, and its fusion asks no label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from helpers import write_tree

from asdcli.challenge.editions.scorefiles import read_values
from asdcli.recipe.loading import load_recipe
from asdcli.recipe.schema import Method
from asdcli.stages.score import score_folder
from asdcli.stages.selection import select
from asdcli.stages.systems import fuse_recipe, named_system
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace


def settings(name: str, member: str, profile: str = "full") -> Method:
    return load_recipe(name).resolve(member=member, edition="dcase2020", profile=profile)


def test_its_members_are_those_of_the_recipes_it_names() -> None:
    spectrum, first = settings("everyday", "spectrum"), settings("mean_spectrum", "spectrum")
    longer = first.frontend.model_dump() | {"n_fft": 2048, "hop_length": 1024}
    changed = {"labels": ["attributes", "section", "domain"], "frontend": longer}
    assert spectrum.training() == first.training() | changed
    levels = settings("everyday", "levels")
    shared = [{"per": "machine", "tied": True}, first.detectors["mahalanobis"].model_dump(exclude={"per"})]
    for method in (spectrum, levels):
        found = method.detectors["distance"].model_dump()
        assert all(part.items() <= found.items() for part in shared)
    assert levels.frontend.model_dump() == first.frontend.model_dump()
    assert [method.pooling.quantile for method in (spectrum, levels)] == [0.5, [0.1, 0.5, 0.9]]

    network, arcface = settings("everyday", "network"), settings("arcface_ensemble", "mobilefacenet_1024", "laptop")
    for key in ("frontend", "view", "model"):
        assert getattr(network, key).model_dump() == getattr(arcface, key).model_dump()
    one, other = network.phases["train"], arcface.phases["source"]
    assert one.model_dump(exclude={"clips", "epochs", "steps"}) == other.model_dump(
        exclude={"clips", "epochs", "steps"}
    )


def test_the_network_counts_half_and_no_label_chooses() -> None:
    for fusion in load_recipe("everyday").header.systems.values():
        assert fusion.weights == {one: 0.5 if one == "network/distance" else 1.0 for one in fusion.weights}
        assert (fusion.best, fusion.oracle, fusion.normalisation) == (None, False, "train")


def test_the_fusion_is_the_mean_in_deviations_of_left_out_training_scores(tmp_path: Path) -> None:
    write_tree(tmp_path, seconds=1.3)
    selection = select(Workspace(tmp_path), Ui(), recipe="everyday", profile="smoke", data="demo", device="cpu")
    fused, _ = fuse_recipe(selection, named_system(selection, "all"), None)
    expected = []
    for member in ("spectrum", "levels", "network"):
        folder = score_folder(selection, member, "distance")
        file = "anomaly_score_SynFan_section_00_test.csv"
        own, found = (read_values(folder / part / file)[1] for part in ("train", "dev"))
        expected.append((found - np.mean(own)) / np.std(own))
    values = read_values(fused.out / "dev" / "anomaly_score_SynFan_section_00_test.csv")[1]
    np.testing.assert_allclose(values, np.average(expected, axis=0, weights=[1, 1, 0.5]), rtol=1e-6)
