"""Packages as systems: folders of task2/, zips, and what is none."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers import clip_names, invoke

from asdcli.challenge.editions.edition import load_edition
from asdcli.challenge.editions.scorefiles import score_name, units, write_values
from asdcli.errors import UserError

EDITION = load_edition("dcase2023")
CLIPS = clip_names(5)
LABELS = [f"Example_UNI_task2_{number}" for number in (1, 2)]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for label in LABELS:
        for unit in units(EDITION, "dev"):
            path = tmp_path / "package" / "task2" / label / score_name(EDITION, unit)
            write_values(path, CLIPS, rng.random(len(CLIPS)))
    (tmp_path / "package" / "task2" / "report.pdf").write_bytes(b"%PDF")
    return tmp_path / "package"


def results(*paths: Path | str) -> list[dict[str, object]]:
    document = json.loads(invoke("evaluate", *map(str, paths), "--data", "dcase2023", "--bootstrap", "0", "--json"))
    return list(document["results"])


def test_the_systems_of_a_package_are_evaluated_folder_or_zip(package: Path) -> None:
    shutil.make_archive("Example_UNI", "zip", package)
    apart = results(*(package / "task2" / label for label in LABELS))
    for found in (results(package), results(package / "task2"), results("Example_UNI.zip")):
        assert [each["system"] for each in found] == LABELS
        assert [each["official_score"] for each in found] == [each["official_score"] for each in apart]
    assert [each["path"] for each in results("Example_UNI.zip")] == [f"Example_UNI.zip/task2/{each}" for each in LABELS]


def test_a_zip_may_be_fused(package: Path) -> None:
    shutil.make_archive("Example_UNI", "zip", package)
    arguments = ("--data", "dcase2023", "--norm", "none", "--json")
    by_zip, by_folder = (json.loads(invoke("ensemble", name, *arguments)) for name in ("Example_UNI.zip", "package"))
    assert by_zip["equal"] == by_folder["equal"] > 0


@pytest.mark.parametrize("data", [b"", b"PK no zip", None])
def test_zips_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes | None) -> None:
    monkeypatch.chdir(tmp_path)
    if data is None:
        with zipfile.ZipFile("some.zip", "w") as archive:
            archive.writestr("../anomaly_score_fan_section_00_test.csv", "a.wav,1")
    else:
        Path("some.zip").write_bytes(data)
    with pytest.raises(UserError, match=r"some\.zip"):
        invoke("evaluate", "some.zip", "--data", "dcase2023")
