from __future__ import annotations

import re
import subprocess
import sys

import pytest

from asdcli.challenge.editions.clipnames import parse_clip_name
from asdcli.challenge.editions.edition import SETS, edition_names, load_common, load_edition, set_of
from asdcli.challenge.editions.scorefiles import units
from asdcli.errors import UserError

NAMES = edition_names()
OFFICIAL = [name for name in NAMES if name != "demo"]
FOLDERS = ("train", "test", "source_test", "target_test", "supplemental")


def test_names():
    assert edition_names() == [f"dcase{year}" for year in range(2020, 2027)] + ["demo"]


@pytest.mark.parametrize("name", NAMES)
def test_edition_is_complete(name):
    edition = load_edition(name)
    assert edition.name == name
    assert edition.title
    assert edition.metrics in ("per_id", "per_domain", "all_anomalies")
    assert edition.synthetic == (name == "demo")
    assert not edition.own
    for set_name in SETS:
        assert edition.machines[set_name]
        assert tuple(edition.sections[set_name]) == edition.machines[set_name]
        assert all(re.fullmatch(r"\d\d", key) for keys in edition.sections[set_name].values() for key in keys)
    assert set(edition.names) == {"train", "dev_test", "eval_test", "supplemental", "labelled"}
    assert ("{domain}" in edition.score_file) == (edition.metrics == "per_domain")
    assert (edition.decision_file is None) == (name == "dcase2020")
    assert edition.result_keys
    assert edition.truth.form in ("list", "per_domain", "folders")


@pytest.mark.parametrize("name", [*NAMES, "own"])
def test_examples_are_names_of_the_edition(name):
    edition = load_edition(name, own=True)
    assert edition.examples
    for example in edition.examples:
        assert any(parse_clip_name(edition, set_name, folder, example) for set_name in SETS for folder in FOLDERS)


@pytest.mark.parametrize("name", OFFICIAL)
def test_downloads_cover_the_machines(name):
    edition = load_edition(name)
    assert edition.year == int(name.removeprefix("dcase"))
    assert set(edition.downloads) == {"dev", "train", "eval"}
    for key, archive in edition.downloads.items():
        assert archive.record > 3_000_000
        assert set(archive.zips) == set(edition.machines["dev" if key == "dev" else "eval"])
        assert all(re.fullmatch(rf"\w*{machine}\w*\.zip", zip_name) for machine, zip_name in archive.zips.items())
        assert set(archive.md5) <= set(archive.zips)
        assert all(re.fullmatch(r"[0-9a-f]{32}", md5) for md5 in archive.md5.values())
        assert archive.tree.startswith("<machine>/")
    assert edition.truth.record or edition.truth.repository


@pytest.mark.parametrize("name", edition_names())
def test_what_an_edition_is_about_leaves_out_what_is_empty(name: str) -> None:
    about = load_edition(name).about()
    assert all(about.values())
    assert name == "demo" or {"page", "paper", "evaluator", "clip_seconds", "channels", "rules"} <= set(about)


def test_known_exceptions_of_the_downloads():
    train = load_edition("dcase2024").downloads["train"]
    assert (train.record, train.supersedes) == (11259435, 11183284)
    assert load_edition("dcase2024").about()["records"] == {"train": "supersedes record 11183284"}
    assert train.zips["3DPrinter"] == "eval_data_3DPrinter_train_r2.zip"
    assert train.zips["RoboticArm"] == "eval_data_RoboticArm_train_r2.zip"
    assert train.zips["Scanner"] == "eval_data_Scanner_train.zip"
    assert load_edition("dcase2026").downloads["dev"].zips["ToyCar"] == "dev_ToyCar_r2.zip"
    assert load_edition("dcase2020").downloads["train"].zips["fan"] == "eval_data_train_fan.zip"
    assert load_edition("dcase2020").downloads["dev"].md5["fan"] == "649bdfc06263ae7a838963f43b6641e6"
    assert load_edition("dcase2022").truth.wrong["machines"] == ["ToyCar", "ToyTrain"]
    assert load_edition("dcase2026").channels == ("near", "far")


@pytest.mark.parametrize(
    ("name", "values"),
    [("dcase2021", 84), ("dcase2022", 63), ("dcase2023", 21), ("dcase2024", 27), ("dcase2025", 24), ("dcase2026", 15)],
)
def test_official_score_is_made_of_so_many_values(name, values):
    edition = load_edition(name)
    assert len(units(edition, "eval")) * (2 if edition.metrics == "per_domain" else 3) == values


def test_unknown_names_get_a_suggestion():
    with pytest.raises(UserError, match="Did you mean 'dcase2022'"):
        load_edition("dcase222")
    with pytest.raises(UserError, match="Unknown edition 'own'"):
        load_edition("own")
    with pytest.raises(UserError, match="Unknown edition 'dcase2035'"):
        load_edition("dcase2035", own=True)


def test_own_data_has_the_name_it_was_asked_for():
    edition = load_edition("pump_hall_3", own=True)
    assert (edition.name, edition.own) == ("pump_hall_3", True)
    assert edition.machines == {"dev": (), "eval": ()}
    assert set_of(edition, "any", "00") == "dev"


def test_set_of():
    edition = load_edition("dcase2022")
    assert set_of(edition, "fan", "02") == "dev"
    assert set_of(edition, "fan", "03") == "eval"
    with pytest.raises(UserError, match="Did you mean 'fan'"):
        set_of(edition, "fans", "00")
    with pytest.raises(UserError, match="no section 07 of fan"):
        set_of(edition, "fan", "07")


def test_common():
    common = load_common()
    pattern = common["submission"]["label_pattern"]
    assert re.fullmatch(pattern, "Example_UNI_task2_1")
    assert not re.fullmatch(pattern, "Example_UNI_task2_5")
    assert all(
        set(field) <= {"path", "type", "required", "since", "max_length", "meaning", "examples"}
        for field in common["meta"]
    )


def test_no_heavy_imports():
    code = (
        "import sys, asdcli.challenge.metrics.evaluation, asdcli.challenge.editions.attributes\n"
        "print(sorted({'torch', 'scipy', 'sklearn', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
