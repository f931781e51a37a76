"""A choice without labels: systems whose training scores tell the domains apart least."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asdcli.challenge.editions.edition import load_edition
from asdcli.challenge.editions.scorefiles import Unit, score_name, write_values
from asdcli.errors import UserError
from asdcli.scores.domain_gap import domain_gaps, steadiest
from asdcli.scores.folders import ScoreFolder, open_score_folder
from asdcli.scores.shares import Best
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

EDITION = load_edition("dcase2022")
SOURCE, TARGET = [0.1, 0.2, 0.3, 0.4], [0.5, 0.6]
Scores = dict[tuple[str, str], tuple[list[float], list[float]]]  # by machine and section: of source and target clips


def system(root: Path, name: str, training: Scores) -> ScoreFolder:
    for (machine, section), (source, target) in training.items():
        unit = Unit(machine, section)
        domains = ["source"] * len(source) + ["target"] * len(target)
        clips = [f"section_{section}_{domain}_train_normal_{n:04d}_vel_1.wav" for n, domain in enumerate(domains)]
        write_values(root / name / "train" / score_name(EDITION, unit), clips, np.array([*source, *target]))
        tests = [
            f"section_{section}_{d}_test_{label}_0000.wav"
            for d in ("source", "target")
            for label in ("normal", "anomaly")
        ]
        write_values(root / name / "dev" / score_name(EDITION, unit), tests, np.arange(4.0))
    return open_score_folder(Workspace(root), Ui(), root / name, EDITION)


def test_the_gap_is_the_distance_of_an_auc_from_a_half(tmp_path: Path) -> None:
    """Targets above all sources: 1 - 0.5. Below: as bad. Among them: 0. The mean over sections; one domain alone counts
    for nothing.
    """
    folder = system(
        tmp_path,
        "a",
        {
            ("fan", "00"): (SOURCE, TARGET),
            ("fan", "01"): (SOURCE, [0.0, 0.05]),
            ("fan", "02"): (SOURCE, []),
            ("valve", "00"): (SOURCE, [0.05, 0.9]),
            ("bearing", "00"): (SOURCE, []),
        },
    )
    assert domain_gaps(EDITION, folder) == {"fan": 0.5, "valve": 0.0}


def test_the_steadiest_systems_of_each_machine_and_of_all(tmp_path: Path) -> None:
    steady, tells = (SOURCE, [0.05, 0.9]), (SOURCE, TARGET)
    half = (SOURCE, [0.25, 0.9])  # AUC 0.75
    folders = [
        system(tmp_path, "a", {("fan", "00"): tells, ("valve", "00"): half}),
        system(tmp_path, "b", {("fan", "00"): half, ("valve", "00"): tells}),
        system(tmp_path, "c", {("fan", "00"): half, ("valve", "00"): half}),
        system(tmp_path, "d", {("fan", "00"): steady, ("valve", "00"): tells}),
    ]
    one = steadiest(EDITION, folders, Best(1, per_machine=True, by="domain_gap"))
    assert one.machines == {"fan": {"d": 1.0}, "valve": {"a": 1.0}}
    assert not one.oracle
    assert steadiest(EDITION, folders, Best(2, by="domain_gap")).common == {"c": 1.0, "d": 1.0}


def test_a_machine_of_one_domain_has_equal_shares(tmp_path: Path) -> None:
    both = {("fan", "00"): (SOURCE, TARGET), ("valve", "00"): (SOURCE, [])}
    folders = [system(tmp_path, name, both) for name in "ab"]
    found = steadiest(EDITION, folders, Best(1, per_machine=True, by="domain_gap"))
    assert found.vector(["a", "b"], "fan") == [1.0, 0.0]
    assert found.vector(["a", "b"], "valve") == [1.0, 1.0]


def test_a_machine_that_one_system_has_not_scored_has_equal_shares(tmp_path: Path) -> None:
    both = {("fan", "00"): (SOURCE, TARGET), ("valve", "00"): (SOURCE, TARGET)}
    folders = [system(tmp_path, "a", both), system(tmp_path, "b", {("fan", "00"): (SOURCE, [0.05, 0.9])})]
    found = steadiest(EDITION, folders, Best(1, per_machine=True, by="domain_gap"))
    assert found.machines == {"fan": {"b": 1.0}}


def test_without_two_domains_there_is_nothing_to_compare(tmp_path: Path) -> None:
    folders = [system(tmp_path, name, {("fan", "00"): (SOURCE, [])}) for name in "ab"]
    with pytest.raises(UserError, match="No training clips of both domains were scored, and by: domain_gap"):
        steadiest(EDITION, folders, Best(1, by="domain_gap"))
