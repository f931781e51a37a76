from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asdcli.challenge.editions.edition import edition_names, load_edition
from asdcli.challenge.editions.scorefiles import Unit, units
from asdcli.challenge.editions.truth import Truth, read_truth, truth_from_clips, truth_from_names, write_truth
from asdcli.errors import UserError

E2020, E2021, E2022, E2023 = (load_edition(f"dcase{year}") for year in range(2020, 2024))


def official_truth(name: str) -> Truth:
    """Four clips of each unit of the eval set under the edition's own names, sorted."""
    edition = load_edition(name)
    clips: dict = {}
    for unit in units(edition, "eval"):
        section = clips.setdefault((unit.machine, unit.section), {})
        for index in range(4):
            domain = unit.domain or (("source", "target")[index // 2] if edition.domains else "")
            middle = f"{domain}_test_" if unit.domain else ""
            name = f"section_{unit.section}_{middle}{index:04d}.wav"
            section[f"id_{unit.section}_{index:08d}.wav" if not edition.domains else name] = (index % 2, domain)
    return Truth(clips)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", edition_names())
def test_official_form_round_trip(tmp_path, name):
    edition, truth = load_edition(name), official_truth(name)
    write_truth(tmp_path, edition, truth)
    read = read_truth(tmp_path, edition)
    if edition.metrics == "per_id":  # the list of 2020 also holds the labelled names
        assert read.aliases["fan", "01"]["anomaly_id_01_00000001.wav"] == "id_01_00000001.wav"
        assert read.clips == truth.clips
        assert read.notes == ()
    elif name == "dcase2022":
        assert read.clips == truth.clips
    else:
        assert read == truth
    for unit in units(edition, "eval"):
        clips = [name for name, clip in truth.clips[unit.machine, unit.section].items() if unit.domain in ("", clip[1])]
        labels, domains = read.lookup(unit, clips[::-1])
        assert labels.tolist() == [1, 0, 1, 0]
        assert set(domains) <= {"source", "target", ""}


def test_written_files(tmp_path):
    write_truth(tmp_path / "a", E2020, official_truth("dcase2020"))
    lines = (tmp_path / "a/eval_data_list.csv").read_text().splitlines()
    assert lines[:3] == [
        "fan",
        "id_01_00000000.wav,normal_id_01_00000000.wav,0",
        "id_01_00000001.wav,anomaly_id_01_00000001.wav,1",
    ]
    write_truth(tmp_path / "b", E2021, official_truth("dcase2021"))
    path = tmp_path / "b/ground_truth_data/ground_truth_fan_section_03_target_test.csv"
    assert path.read_text().startswith("section_03_target_test_0000.wav,0\nsection_03_target_test_0001.wav,1\n")
    write_truth(tmp_path / "c", E2023, official_truth("dcase2023"))
    path = tmp_path / "c/ground_truth_domain/ground_truth_Vacuum_section_00_test.csv"
    assert path.read_text() == "".join(f"section_00_000{i}.wav,{i // 2}\n" for i in range(4))


def test_places_that_hold_ground_truth(tmp_path):
    truth = official_truth("dcase2023")
    write_truth(tmp_path / "dcase2023_task2_evaluator-main", E2023, truth)
    inner = tmp_path / "dcase2023_task2_evaluator-main"
    for place in (tmp_path, inner, inner / "ground_truth_data"):
        assert read_truth(place, E2023) == truth
    with pytest.raises(UserError, match="holds no ground truth of dcase2023"):
        read_truth(inner / "ground_truth_domain", E2023)
    with pytest.raises(UserError, match="no ground truth of dcase2024"):
        read_truth(tmp_path, load_edition("dcase2024"))
    with pytest.raises(UserError, match="no such folder"):
        read_truth(tmp_path / "none", E2023)


@pytest.mark.parametrize("asked", [name for name in edition_names() if name.startswith("dcase")])
@pytest.mark.parametrize("form", ["{}_task2_evaluator-main", "evaluator of {}"])
def test_the_asked_year_is_taken_of_several_side_by_side(tmp_path, asked, form):
    years = [name for name in edition_names() if name.startswith("dcase")]
    for number, name in enumerate(years):
        write_truth(
            tmp_path / form.format(name if "main" in form else 9 - number), load_edition(name), official_truth(name)
        )
    assert read_truth(tmp_path, load_edition(asked)).clips == official_truth(asked).clips


def test_another_year_alone_is_none_of_the_asked_one(tmp_path):
    """ToyDrone section 00 was evaluated in 2023 and in 2026, with clips of the same names."""
    place = tmp_path / "dcase2023_task2_evaluator-main"
    write_truth(place, E2023, official_truth("dcase2023"))
    for given in (tmp_path, place, place / "ground_truth_data"):
        with pytest.raises(UserError, match="holds no ground truth of dcase2026") as caught:
            read_truth(given, load_edition("dcase2026"))
    with pytest.raises(UserError, match="no ground truth") as caught:
        read_truth(tmp_path, load_edition("dcase2026"))
    assert caught.value.hint == "Of another year, by the name: dcase2023_task2_evaluator-main."


def test_the_list_of_the_asked_year_is_taken(tmp_path):
    write_truth(tmp_path, E2020, official_truth("dcase2020"))
    rows = "bearing\nsection_03_0000.wav,section_03_source_test_normal_0007_vel_4.wav\n"
    write(tmp_path / "eval_data_list_2022.csv", rows)
    assert read_truth(tmp_path, E2020).clips == official_truth("dcase2020").clips
    assert read_truth(tmp_path, E2022).clips == {("bearing", "03"): {"section_03_0000.wav": (0, "source")}}


def test_flat_folder_has_no_domains(tmp_path):
    write(tmp_path / "ground_truth_Vacuum_section_00_test.csv", "section_00_0000.wav,0\nsection_00_0001.wav,1\n")
    truth = read_truth(tmp_path, E2023)
    assert truth.clips == {("Vacuum", "00"): {"section_00_0000.wav": (0, ""), "section_00_0001.wav": (1, "")}}
    assert truth.notes == ("The ground truth does not tell the domains of Vacuum section 00.",)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("section_00_0000.wav,0\nsection_00_0001.wav,2\n", "line 2: '2' is neither 0 nor 1"),
        ("name,label\n", "line 1: 'label' is neither"),
        ("section_00_0000.wav,0,1\n", "line 1: 3 columns instead of 2"),
        ("section_00_0000.wav,0\n\nsection_00_0000.wav,0\n", "line 3: section_00_0000.wav stands twice"),
    ],
)
def test_broken_files(tmp_path, text, what):
    write(tmp_path / "ground_truth_Vacuum_section_00_test.csv", text)
    with pytest.raises(UserError, match=what):
        read_truth(tmp_path, E2023)


def test_labels_and_domains_of_different_clips(tmp_path):
    for kind, index in (("data", 0), ("domain", 1)):
        write(
            tmp_path / f"ground_truth_{kind}/ground_truth_Vacuum_section_00_test.csv", f"section_00_000{index}.wav,0\n"
        )
    with pytest.raises(UserError, match="2 stand in one only"):
        read_truth(tmp_path, E2023)


def test_list_of_the_baseline(tmp_path):
    rows = "{0}\nsection_03_0000.wav,section_03_source_test_normal_0007_vel_4.wav\n"
    rows += "section_03_0001.wav,section_03_target_test_anomaly_0000_.wav\n"
    path = write(
        tmp_path / "eval_data_list_2022.csv", "".join(rows.format(m) for m in ("bearing", "ToyCar", "ToyTrain"))
    )
    for place in (path, tmp_path):
        truth = read_truth(place, E2022)
        assert truth.clips == {
            ("bearing", "03"): {"section_03_0000.wav": (0, "source"), "section_03_0001.wav": (1, "target")}
        }
    assert len(truth.notes) == 1
    assert "wrong for ToyCar and ToyTrain" in truth.notes[0]
    with pytest.raises(UserError, match="no ground truth for ToyCar section 03") as caught:
        truth.lookup(Unit("ToyCar", "03"), ["section_03_0000.wav"])
    assert "ToyCar and ToyTrain" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("fan\nid_01_00000000.wav,normal_id_01_00000000.wav,1\n", "line 2: the label 1 contradicts"),
        ("fan\nid_1.wav,normal_id_01_00000000.wav,0\n", "line 2: .* does not name a test clip"),
        ("drill\nid_01_00000000.wav,normal_id_01_00000000.wav,0\n", "not a list of the evaluation clips"),
        ("", "not a list of the evaluation clips"),
    ],
)
def test_broken_lists(tmp_path, text, what):
    with pytest.raises(UserError, match=what):
        read_truth(write(tmp_path / "eval_data_list.csv", text), E2020)


def test_results_of_the_baseline_are_mapped_back(tmp_path):
    edition, name = load_edition("dcase2024"), "ground_truth_RoboticArm_section_00_test.csv"
    write(tmp_path / "ground_truth_data" / name, "section_00_0000.wav,1\nsection_00_0001.wav,0\n")
    write(tmp_path / "ground_truth_domain" / name, "section_00_0000.wav,0\nsection_00_0001.wav,1\n")
    stems = ("section_00_source_anomaly_0035_w_15", "section_00_target_normal_0000_w_2")
    rows = "".join(f"section_00_000{index}.wav,{stem},hidden_{stem}.wav\n" for index, stem in enumerate(stems))
    write(tmp_path / "ground_truth_attributes" / name, rows)
    truth, unit = read_truth(tmp_path, edition), Unit("RoboticArm", "00")
    for names in (
        ["section_00_0001.wav", "section_00_0000.wav"],
        ["section_00_target_test_normal_0000_w_2.wav", "section_00_source_test_anomaly_0035_w_15.wav"],
        ["hidden_section_00_target_normal_0000_w_2.wav", "hidden_section_00_source_anomaly_0035_w_15.wav"],
    ):
        labels, domains = truth.lookup(unit, names)
        assert labels.tolist() == [0, 1]
        assert domains.tolist() == ["target", "source"]


def test_names_must_fit():
    truth = truth_from_clips([("fan", "00", f"{i}.wav", i % 2, "source") for i in range(4)])
    unit = Unit("fan", "00")
    labels, domains = truth.lookup(unit, ["3.wav", "0.wav", "1.wav", "2.wav"])
    assert labels.tolist() == [1, 0, 1, 0]
    assert domains.dtype == np.dtype("<U6")
    with pytest.raises(UserError, match=r"2 without a score \(first: 2\.wav\)"):
        truth.lookup(unit, ["0.wav", "1.wav"])
    with pytest.raises(UserError, match=r"1 unknown to the ground truth \(first: 9\.wav\)"):
        truth.lookup(unit, ["0.wav", "1.wav", "2.wav", "3.wav", "9.wav"])
    with pytest.raises(UserError, match=r"1 scored more than once \(first: 3\.wav\)"):
        truth.lookup(unit, ["0.wav", "1.wav", "2.wav", "3.wav", "3.wav"])
    with pytest.raises(UserError, match="no ground truth for fan section 01"):
        truth.lookup(Unit("fan", "01"), [])


def test_truth_from_names():
    unit = Unit("fan", "00")
    names = ["section_00_source_test_normal_0000_m-n_W.wav", "section_00_target_test_anomaly_0000.wav"]
    truth = truth_from_names(E2022, "dev", {unit: names})
    assert truth.clips["fan", "00"] == {names[0]: (0, "source"), names[1]: (1, "target")}
    with pytest.raises(UserError, match="not the name of a test clip of fan section 01"):
        truth_from_names(E2022, "dev", {Unit("fan", "01"): names})
    with pytest.raises(UserError, match="not the name"):
        truth_from_names(E2021, "dev", {Unit("fan", "00", "source"): names})
    with pytest.raises(UserError, match="1 of 1 test clips of fan section 03 do not tell") as caught:
        truth_from_names(E2022, "eval", {Unit("fan", "03"): ["section_03_0000.wav"]})
    assert "--truth" in caught.value.hint


def test_truth_from_names_of_own_data():
    own, unit = load_edition("hall_3", own=True), Unit("pump", "00")
    names = ["normal/1.wav", "anomaly/1.wav", "abnormal_2.wav"]
    assert truth_from_names(own, "dev", {unit: names}).lookup(unit, names)[0].tolist() == [0, 1, 1]
    with pytest.raises(UserError, match="do not tell"):
        truth_from_names(own, "dev", {unit: ["1.wav"]})


def test_a_clip_without_a_label_is_left_out_and_said() -> None:
    own, unit = load_edition("own", own=True), Unit("fan", "00")
    names = ["anomaly/1.wav", "normal/2.wav", "today.wav"]
    truth = truth_from_names(own, "dev", {unit: names, Unit("mill", "00"): ["x.wav"]})
    assert truth.lookup(unit, names)[0].tolist() == [1, 0, -1]
    assert truth.notes[0].startswith("1 of 3 test clips of fan section 00 do not tell in their names")
    assert truth.notes[1].startswith("1 of 1 test clips of mill section 00 do not tell in their names")
    with pytest.raises(UserError, match="has two labels: the name says normal, the folder anomaly says anomaly"):
        truth_from_names(own, "dev", {unit: ["anomaly/normal.wav"]})


def test_what_strip_takes_away_is_no_part_of_a_label(tmp_path: Path) -> None:
    write(tmp_path / "ground_truth_fan_section_00_test.csv", "a.wav,\x1e1\nb.wav, 0\n")
    assert read_truth(tmp_path, load_edition("own", own=True)).clips == {
        ("fan", "00"): {"a.wav": (1, ""), "b.wav": (0, "")}
    }
