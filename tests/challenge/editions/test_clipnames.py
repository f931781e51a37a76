from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asdcli.challenge.editions.clipnames import ClipName, parse_clip_name, parse_labelled_name
from asdcli.challenge.editions.edition import edition_names, load_edition

OWN = load_edition("own", own=True)
SECTIONED = [name for name in edition_names() if name != "dcase2020"]
FOLDERS = ("train", "test", "source_test", "target_test", "supplemental", "test/anomaly", "elsewhere", "")

sections = st.integers(0, 99).map("{:02d}".format)
indices = st.integers(0, 9999).map("{:04d}".format)
domains = st.sampled_from(["source", "target"])
labels = st.sampled_from([("normal", 0), ("anomaly", 1)])
tails = st.none() | st.text(st.characters(exclude_characters="\n\r/", exclude_categories=["Cs"]), max_size=30)


@given(st.sampled_from(SECTIONED), sections, domains, labels, indices, tails)
def test_test_clip_parses_back_to_its_parts(name, section, domain, label, index, tail):
    end = "" if tail is None else f"_{tail}"
    clip = parse_clip_name(
        load_edition(name), "dev", "test", f"section_{section}_{domain}_test_{label[0]}_{index}{end}.wav"
    )
    assert clip == ClipName(section, domain, "test", label[1], tail or "")


@given(st.sampled_from(SECTIONED), st.sampled_from(["dev", "eval"]), sections, domains, indices, tails)
def test_train_clip_parses_back_to_its_parts(name, set_name, section, domain, index, tail):
    end = "" if tail is None else f"_{tail}"
    file_name = f"section_{section}_{domain}_train_normal_{index}{end}.wav"
    assert parse_clip_name(load_edition(name), set_name, "train", file_name) == ClipName(
        section, domain, "train", 0, tail or ""
    )


@given(labels, sections, st.integers(0, 10**8 - 1))
def test_names_of_2020(label, section, index):
    edition = load_edition("dcase2020")
    assert parse_clip_name(edition, "dev", "test", f"{label[0]}_id_{section}_{index:08d}.wav") == ClipName(
        section, "", "test", label[1]
    )
    assert parse_clip_name(edition, "eval", "test", f"id_{section}_{index:08d}.wav") == ClipName(
        section, "", "test", -1
    )


@given(
    st.sampled_from([*edition_names(), "own"]), st.sampled_from(["dev", "eval"]), st.sampled_from(FOLDERS), st.text()
)
def test_random_text_never_raises(name, set_name, folder, text):
    edition = load_edition(name, own=True)
    for file_name in (text, text + ".wav", "section_00_" + text + ".wav"):
        clip = parse_clip_name(edition, set_name, folder, file_name)
        assert clip is None or (clip.label in (-1, 0, 1) and len(clip.section) == 2)


@pytest.mark.parametrize(
    "file_name",
    [
        "section_00_source_test_normal_0000.wav\n",
        "section_0_source_test_normal_0000.wav",
        "section_٠٠_source_test_normal_0000.wav",
        "section_00_source_test_normal_00000.wav",
        "section_00_source_train_normal_0000.wav",
        "section_00_both_test_normal_0000.wav",
        "normal_id_00_00000000.wav",
        "section_00_source_test_normal_0000",
    ],
)
def test_other_names_are_not_guessed(file_name):
    assert parse_clip_name(load_edition("dcase2023"), "dev", "test", file_name) is None


@pytest.mark.parametrize("ending", ["WAV", "Wav", "flac", "ogg"])
def test_official_names_in_capitals_and_other_forms(ending):
    expected = ClipName("00", "source", "test", 0)
    for name in (f"section_00_source_test_normal_0000.{ending}", f"SECTION_00_SOURCE_TEST_NORMAL_0000.{ending}"):
        assert parse_clip_name(load_edition("dcase2023"), "dev", "test", name) == expected


@pytest.mark.parametrize(
    ("tail", "attributes"),
    [
        ("_", ""),
        ("", ""),
        ("_volt_3.0", "volt_3.0"),
        ("_m-n_X", "m-n_X"),
        ("_noAttribute", "noAttribute"),
        ("_v1pat_00_v2pat_05", "v1pat_00_v2pat_05"),
        ("_a.wav", "a.wav"),
    ],
)
def test_attribute_tail_is_kept_whole(tail, attributes):
    clip = parse_clip_name(load_edition("dcase2026"), "dev", "train", f"section_00_source_train_normal_0000{tail}.wav")
    assert clip is not None
    assert clip.attributes == attributes


def test_eval_names_hide_or_tell_the_domain():
    hidden = ClipName("03", "", "test", -1)
    assert parse_clip_name(load_edition("dcase2022"), "eval", "test", "section_03_0000.wav") == hidden
    assert parse_clip_name(load_edition("dcase2022"), "eval", "test", "section_03_test_0000.wav") == hidden
    told = ClipName("03", "source", "test", -1)
    assert parse_clip_name(load_edition("dcase2021"), "eval", "source_test", "section_03_source_test_0000.wav") == told
    assert parse_clip_name(load_edition("dcase2021"), "eval", "target_test", "section_03_source_test_0000.wav") is None
    assert parse_clip_name(load_edition("dcase2022"), "dev", "test", "section_03_0000.wav") is None


def test_labelled_copies_of_eval_clips():
    edition = load_edition("dcase2024")
    short = "section_00_source_normal_0035_weight15_BckgF.wav"
    clip = ClipName("00", "source", "test", 0, "weight15_BckgF")
    assert parse_clip_name(edition, "eval", "test", short) == clip
    assert parse_labelled_name(edition, short.replace("_normal", "_test_normal")) == clip
    assert parse_clip_name(edition, "dev", "test", short) is None


@pytest.mark.parametrize(
    ("file_name", "kind", "domain"),
    [
        ("section_00_machine_0001_.wav", "clean", ""),
        ("section_00_machine_source_0000_noAttribute.wav", "clean", "source"),
        ("section_00_source_supplemental_machine_0000.wav", "clean", "source"),
        ("section_00_noise_supplemental_normal_0000.wav", "noise", ""),
        ("section_00_clean_7.wav", "clean", ""),
        ("section_00_other_0000.wav", "", ""),
    ],
)
def test_supplemental_names_are_read_tolerantly(file_name, kind, domain):
    clip = parse_clip_name(load_edition("dcase2025"), "eval", "supplemental", file_name)
    assert clip is not None
    assert (clip.split, clip.label, clip.kind, clip.domain) == ("supplemental", 0, kind, domain)
    assert parse_clip_name(load_edition("dcase2025"), "eval", "test", file_name) is None
    assert parse_clip_name(load_edition("dcase2026"), "eval", "supplemental", file_name) is None


@pytest.mark.parametrize(
    ("folder", "file_name", "expected"),
    [
        ("train", "monday 7.wav", ClipName("00", "", "train", 0)),
        ("test", "monday 7.wav", ClipName("00", "", "test", -1)),
        ("test", "pump_Anomaly_7.WAV", ClipName("00", "", "test", 1)),
        ("test", "abnormal7.wav", ClipName("00", "", "test", 1)),
        ("test", "normalised_7.wav", ClipName("00", "", "test", -1)),
        ("test/normal", "00001.wav", ClipName("00", "", "test", 0)),
        ("test/anomalous/bearing", "00001.wav", ClipName("00", "", "test", 1)),
        (
            "test/anomaly",
            "normal_load.wav",
            ClipName("00", "", "test", -1, conflict="the name says normal, the folder anomaly says anomaly"),
        ),
        (
            "test",
            "normal_or_anomaly.wav",
            ClipName("00", "", "test", -1, conflict="the name says normal, the name says anomaly"),
        ),
        (
            "test/anomaly",
            "section_01_target_test_normal_0001.wav",
            ClipName("01", "target", "test", 0, conflict="the name says normal, the folder anomaly says anomaly"),
        ),
        ("train/anomaly", "7.wav", ClipName("00", "", "excluded", 1)),
        ("train", "anomaly_id_04_00000007.wav", ClipName("04", "", "excluded", 1)),
        ("Test/Anomaly", "SECTION_01_Target_TEST_Anomaly_0001_Vel_X.WAV", ClipName("01", "target", "test", 1, "Vel_X")),
        ("TRAIN", "section_01_source_train_normal_0001.Wav", ClipName("01", "source", "train", 0)),
        ("test", "section_01_source_test_normal_0001.flac", ClipName("01", "source", "test", 0)),
        ("test/normal", "monday.ogg", ClipName("00", "", "test", 0)),
        ("target_test", "7.wav", ClipName("00", "target", "test", -1)),
        ("test/anomaly", "section_02_0001.wav", ClipName("02", "", "test", 1)),
        ("test", "section_01_target_test_anomaly_0001_x.wav", ClipName("01", "target", "test", 1, "x")),
        ("test", "anomaly_id_04_00000007.wav", ClipName("04", "", "test", 1)),
        ("train", "section_01_source_train_normal_0001.wav", ClipName("01", "source", "train", 0)),
        ("test", "notes.txt", None),
        ("test", ".wav", None),
        ("valid", "monday.wav", None),
    ],
)
def test_own_data(folder, file_name, expected):
    assert parse_clip_name(OWN, "dev", folder, file_name) == expected


def test_official_trees_have_no_folders_below_test():
    name = "section_00_source_test_anomaly_0000.wav"
    assert parse_clip_name(load_edition("dcase2022"), "dev", "test/anomaly", name) is None
