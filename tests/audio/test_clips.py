from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asdcli.audio.clips import ClipTable, concat, places, scan_clips
from asdcli.challenge.editions.edition import load_edition
from asdcli.errors import UserError


def tree(raw: Path, *paths: str) -> Path:
    """Empty files: scanning looks at names only."""
    for path in paths:
        (raw / path).parent.mkdir(parents=True, exist_ok=True)
        (raw / path).touch()
    return raw


def rows(clips: ClipTable, *columns: str) -> list[tuple]:
    return list(zip(*(clips.columns()[column] for column in columns), strict=True))


@pytest.fixture
def raw2023(tmp_path: Path) -> Path:
    raw = tree(
        tmp_path,
        "fan/train/section_00_source_train_normal_0001_m-n_X.wav",
        "fan/train/section_00_target_train_normal_0000_m-n_Y.wav",
        "fan/test/section_00_source_test_normal_0000_m-n_X.wav",
        "fan/test/section_00_target_test_anomaly_0000_m-n_Y.wav",
        "bearing/train/section_00_source_train_normal_0000_noAttribute.wav",
        "bearing/test/section_00_source_test_anomaly_0003_noAttribute.wav",
    )
    (raw / "fan/attributes_00.csv").write_text(
        "file_name,d1p,d1v\n"
        "fan/train/section_00_source_train_normal_0001_m-n_X.wav,m-n,X\n"
        "section_00_target_test_anomaly_0000_m-n_Y,m-n,noAttribute\n"
        "section_00_source_test_normal_0000_m-n_X,m-n,X\n"
    )
    return raw


def test_scan(raw2023: Path) -> None:
    clips, strays = scan_clips(raw2023, load_edition("dcase2023"), "dev")
    assert strays == []
    assert len(clips) == 6
    assert clips.path.tolist() == sorted(clips.path.tolist())
    assert rows(clips, "machine", "section", "domain", "split", "label", "attributes") == [
        ("bearing", "00", "source", "test", 1, {}),
        ("bearing", "00", "source", "train", 0, {}),
        ("fan", "00", "source", "test", 0, {"m-n": "X"}),
        ("fan", "00", "target", "test", 1, {}),
        ("fan", "00", "source", "train", 0, {"m-n": "X"}),
        ("fan", "00", "target", "train", 0, {}),
    ]
    assert clips.path[0] == "bearing/test/section_00_source_test_anomaly_0003_noAttribute.wav"
    assert clips.label.dtype == np.int8


def test_strays_are_reported_once(raw2023: Path) -> None:
    tree(
        raw2023,
        "fan/train/section_00_source_train_0001.wav",
        "fan/train/deep/x.wav",
        "fan/test_rename/section_00_source_test_normal_0000.wav",
        "fan/notes.txt",
        "orphan.wav",
        "README",
        "windmill/train/x.wav",
        "fan/train/.DS_Store",
        "fan/train/._section_00_source_train_normal_0001_m-n_X.wav",
        "fan/test/Thumbs.db",
        ".cache/x.wav",
    )
    clips, strays = scan_clips(raw2023, load_edition("dcase2023"), "dev")
    assert len(clips) == 6
    assert sorted(str(path.relative_to(raw2023)) for path in strays) == [
        "fan/notes.txt",
        "fan/test_rename",
        "fan/train/deep",
        "fan/train/section_00_source_train_0001.wav",
        "orphan.wav",
        "windmill",
    ]
    assert scan_clips(raw2023, load_edition("dcase2023"), "dev", ["bearing"])[1] == []


def test_2020(tmp_path: Path) -> None:
    tree(tmp_path, "fan/train/normal_id_02_00000000.wav", "fan/test/anomaly_id_04_00000001.wav")
    clips, _ = scan_clips(tmp_path, load_edition("dcase2020"), "dev")
    assert rows(clips, "section", "domain", "split", "label") == [("04", "", "test", 1), ("02", "", "train", 0)]


def test_the_tail_of_a_name_is_an_attribute_where_the_edition_has_no_tables(tmp_path: Path) -> None:
    """In 2021 training clips alone have one; from 2022 on the tables tell, and a clip that they leave out has none."""
    names = [f"fan/train/section_00_source_train_normal_000{tail}.wav" for tail in ("0_strength_1_ambient", "1_", "2")]
    clips, _ = scan_clips(tree(tmp_path / "2021", *names), load_edition("dcase2021"), "dev")
    assert clips.attributes.tolist() == [{"name": "strength_1_ambient"}, {}, {}]
    clips, _ = scan_clips(tree(tmp_path / "2022", *names), load_edition("dcase2022"), "dev")
    assert clips.attributes.tolist() == [{}, {}, {}]


def test_2021_has_a_folder_per_domain(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "pump/source_test/section_03_source_test_0000.wav",
        "pump/target_test/section_03_target_test_0000.wav",
        "pump/target_test/section_03_source_test_0001.wav",
        "pump/train/section_03_source_train_normal_0000_strength_1.wav",
    )
    clips, strays = scan_clips(tmp_path, load_edition("dcase2021"), "eval")
    assert rows(clips, "domain", "split", "label") == [
        ("source", "test", -1),
        ("target", "test", -1),
        ("source", "train", 0),
    ]
    assert strays == [tmp_path / "pump/target_test/section_03_source_test_0001.wav"]


def test_supplemental_of_2025(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "fan/supplemental/section_00_noise_supplemental_normal_0000.wav",
        "fan/train/section_00_source_train_normal_0000_x.wav",
    )
    clips, _ = scan_clips(tmp_path, load_edition("dcase2025"), "dev")
    assert rows(clips, "split", "label") == [("supplemental", 0), ("train", 0)]


def test_own_data(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "lathe 1/train/monday.wav",
        "lathe 1/test/normal/a.WAV",
        "lathe 1/test/anomaly/a.wav",
        "lathe 1/test/unknown.wav",
        "lathe 1/test/photo.jpg",
        "press/train/x.wav",
    )
    clips, strays = scan_clips(tmp_path, load_edition("workshop", own=True), "dev")
    assert rows(clips, "path", "label") == [
        ("lathe 1/test/unknown.wav", -1),
        ("lathe 1/test/anomaly/a.wav", 1),
        ("lathe 1/test/normal/a.WAV", 0),
        ("lathe 1/train/monday.wav", 0),
        ("press/train/x.wav", 0),
    ]
    assert strays == [tmp_path / "lathe 1/test/photo.jpg"]


def test_select_and_concat(raw2023: Path) -> None:
    edition = load_edition("dcase2023")
    clips, _ = scan_clips(raw2023, edition, "dev")
    fan, bearing = clips.select(clips.machine == "fan"), clips.select([0, 1])
    assert (len(fan), len(bearing)) == (4, 2)
    assert concat([bearing, fan]).columns() == clips.columns()
    assert fan.columns() == scan_clips(raw2023, edition, "dev", ["fan"])[0].columns()
    assert fan.select(slice(1, 2)).attributes.tolist() == [{}]


def test_columns_round_trip(raw2023: Path) -> None:
    clips, _ = scan_clips(raw2023, load_edition("dcase2023"), "dev")
    again = ClipTable.from_columns(clips.columns())
    assert again.columns() == clips.columns()
    assert again.label.dtype == np.int8
    assert len(clips.select([])) == 0


def test_missing_tree(tmp_path: Path) -> None:
    tree(tmp_path, "dev_data/fan/x.wav")
    with pytest.raises(UserError) as caught:
        scan_clips(tmp_path / "dev_data" / "raw", load_edition("dcase2022"), "dev")
    assert str(caught.value) == f"There is no folder {tmp_path}/dev_data/raw. {tmp_path}/dev_data holds fan."
    assert caught.value.hint == "asd download dcase2022 puts data there."


def test_unknown_and_absent_machines(raw2023: Path) -> None:
    edition = load_edition("dcase2023")
    with pytest.raises(UserError, match=r"Unknown machine 'fam'\. Did you mean 'fan'\?"):
        scan_clips(raw2023, edition, "dev", ["fam"])
    with pytest.raises(UserError, match=r"There is no folder .*valve; there are bearing, fan\."):
        scan_clips(raw2023, edition, "dev", ["valve"])


def test_a_tree_without_clips(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"as dcase2022 \(dev\) has them; there is nothing\."):
        scan_clips(tmp_path, load_edition("dcase2022"), "dev")
    tree(tmp_path, "fan/train/1.wav")
    with pytest.raises(UserError, match=r"there is fan/train/1\.wav\."):
        scan_clips(tmp_path, load_edition("dcase2022"), "dev")


OWN = load_edition("workshop", own=True)


def test_a_label_in_the_folder_and_another_in_the_name(tmp_path: Path) -> None:
    tree(tmp_path, "fan/train/1.wav", *(f"fan/test/anomaly/normal_{i}.wav" for i in range(5)))
    with pytest.raises(UserError) as caught:
        scan_clips(tmp_path, OWN, "dev")
    text = str(caught.value)
    assert text.startswith(
        f"5 clips with two labels in {tmp_path}: fan/test/anomaly/normal_0.wav (the name says normal,"
    )
    assert "the folder anomaly says anomaly)" in text
    assert text.endswith("and 2 more.")


def test_training_clips_that_are_labelled_anomalous_are_excluded(tmp_path: Path) -> None:
    tree(tmp_path, "fan/train/1.wav", "fan/train/anomaly/2.wav", "fan/Test/anomaly/3.WAV")
    clips, strays = scan_clips(tmp_path, OWN, "dev")
    assert rows(clips, "path", "split", "label") == [
        ("fan/Test/anomaly/3.WAV", "test", 1),
        ("fan/train/1.wav", "train", 0),
        ("fan/train/anomaly/2.wav", "excluded", 1),
    ]
    assert strays == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (b"\x90\xb3\x8f\xed.wav", r"fan/test/\udc90\udcb3\udc8f\udced.wav"),
        (b"a\nb.wav", r"fan/test/a\nb.wav"),
        (b"\x1b[31mred.wav", r"fan/test/\x1b[31mred.wav"),
        ("\u202egnp.wav".encode(), r"fan/test/\u202egnp.wav"),
    ],
)
def test_names_that_cannot_be_written(tmp_path: Path, name: bytes, told: str) -> None:
    tree(tmp_path, "fan/train/1.wav", "fan/test/2.wav")
    os.rename(tmp_path / "fan/test/2.wav", os.fsencode(tmp_path / "fan/test") + b"/" + name)
    with pytest.raises(UserError) as caught:
        scan_clips(tmp_path, OWN, "dev")
    assert str(caught.value) == f"1 clip with a name that cannot be written in {tmp_path}: {told}."


def test_names_in_any_script_are_names(tmp_path: Path) -> None:
    tree(tmp_path, "ファン/train/正常　一.wav", 'ファン/test/a, "b".wav')
    assert len(scan_clips(tmp_path, OWN, "dev")[0]) == 2


def test_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    tree(tmp_path, "fan/train/1.wav", "fan/train/x.wav/2.wav")
    os.mkfifo(tmp_path / "fan/train/pipe.wav")
    os.mkfifo(tmp_path / "fan/attributes_00.csv")
    (tmp_path / "fan/train/loop").symlink_to(tmp_path / "fan/train")
    (tmp_path / "fan/train/self.wav").symlink_to("self.wav")  # decoding says what is wrong with it
    clips, strays = scan_clips(tmp_path, OWN, "dev")
    assert clips.path.tolist() == ["fan/train/1.wav", "fan/train/self.wav", "fan/train/x.wav/2.wav"]
    assert sorted(path.name for path in strays) == ["attributes_00.csv", "loop", "pipe.wav"]


@pytest.mark.real
def test_real_tree(real_dir: Path) -> None:
    raw = real_dir / "dcase2020" / "dev_data" / "raw"
    clips, _ = scan_clips(raw, load_edition("dcase2020"), "dev")
    toy = clips.select(clips.machine == "ToyCar")
    assert np.unique(toy.section).tolist() == ["01", "02", "03", "04"]
    assert ((toy.split == "test") & (toy.label == 1)).sum() == 120


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6).filter(any), st.data())
def test_a_row_of_many_tables_is_found_in_its_own(sizes: list[int], data: st.DataObject) -> None:
    everything = [(table, row) for table, size in enumerate(sizes) for row in range(size)]
    rows = data.draw(st.lists(st.integers(0, len(everything) - 1), max_size=8))
    assert list(places(np.array(rows, dtype=np.int64), sizes)) == [everything[row] for row in rows]
