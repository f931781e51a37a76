from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asdcli.challenge.editions.edition import SETS, edition_names, load_edition
from asdcli.challenge.editions.scorefiles import (
    Unit,
    decision_name,
    find_decision_files,
    find_score_files,
    read_values,
    score_name,
    stray_files,
    units,
    write_values,
)
from asdcli.errors import UserError, WorkError

finite = st.floats(allow_nan=False, allow_infinity=False)
clip_names = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\ufeff\0"), min_size=1).filter(
    lambda name: (
        name == name.lstrip() and not re.match(r"/|\\\\|[A-Za-z]:[\\/]", name)
    )  # neither blanks nor a path before it
)


@given(st.dictionaries(clip_names.map("{}.wav".format), finite, min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_values_round_trip_exactly(tmp_path, table):
    path = tmp_path / "scores.csv"
    write_values(path, list(table), np.array(list(table.values())))
    names, values = read_values(path)
    assert names == list(table)
    np.testing.assert_array_equal(values, list(table.values()))


def test_written_form(tmp_path):
    path = tmp_path / "new" / "scores.csv"
    write_values(path, ["a.wav", "b.wav"], np.array([0.1, 2.0]))
    assert path.read_bytes() == b"a.wav,0.1\nb.wav,2.0\n"
    write_values(path, ["a.wav", "b.wav"], np.array([0, 1]))
    assert path.read_bytes() == b"a.wav,0\nb.wav,1\n"
    assert list(path.parent.iterdir()) == [path]


def test_no_file_is_written_for_a_value_that_is_not_finite(tmp_path):
    with pytest.raises(WorkError, match=r"b\.wav .* nan"):
        write_values(tmp_path / "scores.csv", ["a.wav", "b.wav"], np.array([0.1, np.nan]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a.wav,1\nb.wav,high\n", 2, "'high' is not a number"),
        ("a.wav,1\nb.wav,\n", 2, "'' is not a number"),
        ("a.wav,1\nb.wav,1_000\n", 2, "'1_000' is not a number"),
        ("a.wav,1\nb.wav,\u0661\u0662\n", 2, "is not a number"),
        ("a.wav,1\nb.wav,nan\n", 2, "the value of b.wav is nan"),
        ("a.wav,1\nb.wav,-inf\n", 2, "the value of b.wav is -inf"),
        ("a.wav,1\nb.wav\n", 2, "1 column instead of 2"),
        ("a.wav,1,0\nb.wav,1\n", 1, "3 columns instead of 2"),
        ("a.wav,1\n\nb.wav,1\n", 2, "blank line"),
        ("a.wav,1\nb.wav,1\na.wav,2\n", 3, "a.wav stands twice, first in line 1"),
        ("a.wav,1\n,2\n", 2, "no clip name"),
        ('a.wav,1\n"b"x,2\n', 2, "not a valid CSV row"),
        ("a.wav;1\nb.wav\n", 1, "1 column instead of 2"),
        ("a.wav,0,5\nb.wav,1,25\n", 1, "the comma of 0,5 may be a decimal one"),
    ],
)
def test_first_bad_row_is_named(tmp_path, text, line, what):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_values(path)
    assert f"scores.csv, line {line}: " in str(caught.value)
    assert what in str(caught.value)


def test_tolerated_forms(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_bytes(b'\xef\xbb\xbfa.wav,1e-3\r\n"b.wav", 2\r\n\r\n')
    names, values = read_values(path)
    assert names == ["a.wav", "b.wav"]
    assert values.tolist() == [1e-3, 2.0]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xff\xfe\x00"])
def test_files_without_rows(tmp_path, data):
    path = tmp_path / "scores.csv"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"scores\.csv"):
        read_values(path)
    with pytest.raises(UserError, match="No such file"):
        read_values(tmp_path / "none.csv")


@given(st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_text_is_read_or_refused(tmp_path, text):
    path = tmp_path / "scores.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        names, values = read_values(path)
    except UserError:
        return
    assert len(names) == len(values) == len(set(names))


@pytest.mark.parametrize("name", edition_names())
def test_official_names_are_found_again(tmp_path, name):
    edition = load_edition(name)
    everything = [unit for set_name in SETS for unit in units(edition, set_name)]
    for unit in everything:
        (tmp_path / score_name(edition, unit)).touch()
        if edition.decision_file:
            (tmp_path / decision_name(edition, unit)).touch()
    found = find_score_files(tmp_path, edition)
    assert sorted(found) == list(found) == sorted(everything)
    assert all(path.name == score_name(edition, unit) for unit, path in found.items())
    assert sorted(find_decision_files(tmp_path, edition)) == (sorted(everything) if edition.decision_file else [])
    assert stray_files(tmp_path, edition) == []


def test_names_by_edition():
    assert score_name(load_edition("dcase2020"), Unit("ToyCar", "01")) == "anomaly_score_ToyCar_id_01.csv"
    unit = Unit("fan", "03", "target")
    assert score_name(load_edition("dcase2021"), unit) == "anomaly_score_fan_section_03_target_test.csv"
    assert (
        decision_name(load_edition("dcase2023"), Unit("Vacuum", "00")) == "decision_result_Vacuum_section_00_test.csv"
    )
    with pytest.raises(UserError, match="no decision files"):
        decision_name(load_edition("dcase2020"), Unit("fan", "01"))


@pytest.mark.parametrize(
    ("name", "file_name", "unit"),
    [
        ("dcase2022", "anomaly_score_fan_section_02.csv", Unit("fan", "02")),
        ("dcase2023", "anomaly_score_fan_section_00.csv", Unit("fan", "00")),
        (
            "dcase2023",
            "anomaly_score_DCASE2023T2bandsaw_section_00_test_seed13711_id(0_)_Eval.csv",
            Unit("bandsaw", "00"),
        ),
        ("dcase2024", "anomaly_score_DCASE2024T2ToyCar_section_00_test_seed1.csv", Unit("ToyCar", "00")),
        ("dcase2021", "anomaly_score_fan_section_03_source.csv", Unit("fan", "03", "source")),
    ],
)
def test_variants_are_found(tmp_path, name, file_name, unit):
    (tmp_path / file_name).touch()
    assert find_score_files(tmp_path, load_edition(name)) == {unit: tmp_path / file_name}


def test_files_of_no_unit_are_reported(tmp_path):
    strays = ["anomaly_score_fan_section_09_test.csv", "anomaly_score_fun_section_00_test.csv", "decision_result_x.csv"]
    for file_name in [*strays, "anomaly_score_fan_section_00_test.csv", "result.csv", "anomaly_score_note.txt"]:
        (tmp_path / file_name).touch()
    edition = load_edition("dcase2022")
    assert [path.name for path in stray_files(tmp_path, edition)] == strays
    assert list(find_score_files(tmp_path, edition)) == [Unit("fan", "00")]


def test_two_files_for_one_unit(tmp_path):
    (tmp_path / "anomaly_score_fan_section_00_test.csv").touch()
    (tmp_path / "anomaly_score_fan_section_00.csv").touch()
    with pytest.raises(UserError, match="two files for fan section 00"):
        find_score_files(tmp_path, load_edition("dcase2022"))


def test_own_machines_may_have_any_name(tmp_path):
    edition = load_edition("hall_3", own=True)
    unit = Unit("pump_section_b", "00")
    (tmp_path / score_name(edition, unit)).touch()
    assert list(find_score_files(tmp_path, edition)) == [unit]
    assert units(edition, "dev") == []


def test_folder_that_is_none(tmp_path):
    with pytest.raises(UserError, match="Cannot read the folder"):
        find_score_files(tmp_path / "none", load_edition("dcase2022"))


@pytest.mark.real
def test_real_folders_are_read_whole(real_dir):
    edition = load_edition("dcase2022")
    for folder in sorted((real_dir / "scores_dcase2022_dev").iterdir()):
        found = find_score_files(folder, edition)
        assert list(found) == sorted(units(edition, "dev"))
        assert stray_files(folder, edition) == []
        assert all(len(read_values(path)[0]) == 200 for path in found.values())


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("a.wav;0.5\nb.wav;1e-3\n", "semicolons"),
        ("a.wav\t0.5\nb.wav\t1e-3\n", "tabs"),
        ("a.wav;0,5\nb.wav;1,0e-3\n", "decimal commas"),
        ('a.wav,"0,5"\nb.wav,0.001\n', "decimal commas"),
        ("file name,score\na.wav,0.5\nb.wav,0.001\n", "header"),
        ("file_name;anomaly (score)\na.wav;0,5\nb.wav;0,001\n", "header"),
        (" a.wav , 0.5\nb.wav,0.001\n", "blanks"),
        ("a,0.5\nb,0.001\n", "lack .wav"),
        ("/data/fan/test/a.wav,0.5\n/data/fan/test/b.wav,0.001\n", "folders"),
        ("/mnt/a.wav,0.5\n/mnt/b.wav,0.001\n", "folders"),
        ("C:\\data\\fan\\a.wav,0.5\nC:\\data\\fan\\b.wav,0.001\n", "folders"),
    ],
)
def test_forms_with_one_reading_are_read_and_said(tmp_path, caplog, text, note):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    names, values = read_values(path)
    assert (names, values.tolist()) == (["a.wav", "b.wav"], [0.5, 0.001])
    assert note in caplog.text
    assert str(tmp_path) in caplog.text


def test_what_stands_below_test_belongs_to_the_name(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("/data/press/test/anomaly/1.wav,1\nanomaly/2.wav,2\n")
    assert read_values(path)[0] == ["anomaly/1.wav", "anomaly/2.wav"]


@pytest.mark.parametrize(
    "name", ["anomaly_score_fan_section_00_test.CSV", "anomaly_score_fan_id_00.csv", "anomaly_score_fan_id_00_test.Csv"]
)
def test_names_of_files_with_one_reading(tmp_path, name):
    (tmp_path / name).touch()
    assert find_score_files(tmp_path, load_edition("dcase2023")) == {Unit("fan", "00"): tmp_path / name}
