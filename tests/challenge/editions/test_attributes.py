from __future__ import annotations

import contextlib
import csv

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asdcli.challenge.editions.attributes import clip_stem, read_attributes
from asdcli.errors import UserError

words = st.text("abcXYZ019.-+ßµ", min_size=1, max_size=6)
tables = st.dictionaries(words.map("section_00_{}".format), st.dictionaries(words, words | st.just(""), max_size=4))


@pytest.mark.parametrize("form", ["{}", "{}.wav", "fan/train/{}.wav", "fan\\test\\{}.WAV", "/data/fan/test/{}"])
def test_file_name_in_all_its_forms(tmp_path, form):
    path = tmp_path / "attributes_00.csv"
    name = form.format("section_00_source_train_normal_0000_volt_3.0")
    path.write_text(f"file_name,d1p,d1v,d2p,d2v\n{name},volt,3.0,loc,A\n")
    assert read_attributes(path) == {"section_00_source_train_normal_0000_volt_3.0": {"volt": "3.0", "loc": "A"}}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_round_trip(tmp_path, table, newline, mark):
    path = tmp_path / "attributes_00.csv"
    pairs = max([len(row) for row in table.values()], default=0)
    with path.open("w", encoding="utf-8-sig" if mark else "utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator=newline)
        writer.writerow(["file_name", *(f"d{i + 1}{kind}" for i in range(pairs) for kind in "pv")])
        for stem, row in table.items():
            writer.writerow([f"fan/test/{stem}.wav", *(cell for pair in row.items() for cell in pair)])
        file.write(newline)
    assert read_attributes(path) == table


def test_no_pairs_short_rows_and_further_columns(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("file_name\nbearing/train/x.wav\n\n")
    assert read_attributes(path) == {"x": {}}
    path.write_text(
        "file_name,d1p,d1v,file_name_with_attributes\nx.wav,car,G2,ToyCar/test/x_car_G2.wav\ny.wav\nz.wav,,,\n"
    )
    assert read_attributes(path) == {"x": {"car": "G2"}, "y": {}, "z": {}}
    path.write_text(
        "file_name,d1p,d1v,d2p,d2v,file_name_with_full_attributes\nx.wav,v1pat,05,valve/test/x_v1pat_05.wav\n"
    )
    assert read_attributes(path) == {"x": {"v1pat": "05"}}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("section_00,vel,4\n", 1),
        ("file_name,d1p\nx.wav,vel\n", 1),
        ("file_name,d1p,d1v\nx.wav,vel\n", 2),
        ("file_name,d1p,d1v\n\nx.wav,vel,4,loc\n", 3),
        ("file_name,d1p,d1v\nx.wav,vel,4\n,vel,5\n", 3),
        ("file_name,d1p,d1v\nx.wav,vel,4\nfan/test/x.wav,vel,5\n", 3),
        ('file_name,d1p,d1v\nx.wav,"vel"q,4\n', 2),
    ],
)
def test_broken_file_is_named_with_its_line(tmp_path, text, line):
    path = tmp_path / "attributes_00.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"attributes_00\.csv, line {line}: "):
        read_attributes(path)


def test_unreadable_files(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_attributes(tmp_path / "none.csv")
    path = tmp_path / "a.csv"
    path.write_bytes(b"file_name,d1p,d1v\nx.wav,\xff,4\n")
    with pytest.raises(UserError, match="UTF-8"):
        read_attributes(path)


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_read_or_refused(tmp_path, data):
    path = tmp_path / "a.csv"
    path.write_bytes(b"file_name,d1p,d1v\n" + data)
    with contextlib.suppress(UserError):
        assert all(isinstance(values, dict) for values in read_attributes(path).values())


def test_clip_stem():
    assert clip_stem("fan/train/a.b.wav") == "a.b"
    assert clip_stem("a_volt_3.0") == "a_volt_3.0"
