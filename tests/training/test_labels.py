"""Classes from sections, attributes or domains, whichever tells training clips apart first."""

from __future__ import annotations

import json

import pytest

from asdcli.audio.clips import ClipTable
from asdcli.errors import UserError
from asdcli.training.labels import CLASS, MACHINE, LabelSet, LabelSets, LabelSource, label_sets


def table(**columns: list) -> ClipTable:
    count = len(next(iter(columns.values())))
    plain = {
        "path": [str(index) for index in range(count)],
        "machine": ["fan"] * count,
        "section": ["00"] * count,
        "domain": ["source"] * count,
        "split": ["train"] * count,
        "label": [0] * count,
        "attributes": [{}] * count,
    }
    return ClipTable.from_columns(plain | columns)


def numbers(clips: ClipTable, sources: tuple[LabelSource, ...]) -> list[int]:
    return label_sets(clips, sources)[CLASS].numbers(clips).tolist()


def test_sections_first() -> None:
    clips = table(section=["00", "02", "00"])
    found = label_sets(clips, ("section", "domain"))[CLASS]
    assert found == LabelSet("section", ("fan 00", "fan 02"))
    assert found.numbers(clips).tolist() == [0, 1, 0]


def test_attributes_where_there_is_one_section() -> None:
    clips = table(attributes=[{"spd": "1", "mic": "2"}, {"mic": "2", "spd": "1"}, {"spd": "3"}])
    assert numbers(clips, ("section", "attributes", "domain")) == [0, 0, 1]
    assert label_sets(clips, ("section", "attributes", "domain"))[CLASS].by == "attributes"


def test_test_clips_make_no_classes() -> None:
    assert numbers(table(section=["00", "01", "02"], split=["train", "train", "test"]), ("section",)) == [0, 1, -1]


def test_one_class_is_an_error_that_says_what_to_do() -> None:
    sets = label_sets(table(section=["00", "00"]), ("section", "domain"))
    with pytest.raises(UserError, match="of a single class by section and domain") as raised:
        sets[CLASS]
    assert "labels:" in raised.value.hint


def test_a_set_for_machines_and_one_for_each_attribute_of_each_machine() -> None:
    """An attribute with one value makes none; a clip without the attribute, and test clips of other values, are -1."""
    clips = table(
        machine=["fan", "fan", "fan", "valve", "valve", "fan"],
        attributes=[{"m-n": "A", "mic": "1"}, {"m-n": "B", "mic": "1"}, {}, {"pat": "0"}, {"pat": "5"}, {"m-n": "C"}],
        split=["train"] * 5 + ["test"],
    )
    sets = label_sets(clips, ("section",))
    assert list(sets) == [CLASS, MACHINE, "fan m-n", "valve pat"]
    assert sets[MACHINE].numbers(clips).tolist() == [0, 0, 0, 1, 1, 0]
    assert sets["fan m-n"].numbers(clips).tolist() == [0, 1, -1, -1, -1, -1]
    assert sets["valve pat"].numbers(clips).tolist() == [-1, -1, -1, 0, 1, -1]
    with pytest.raises(UserError, match=r"no labels 'fan mic' .* there are: class, machine, fan m-n, valve pat"):
        sets["fan mic"]


def test_sets_are_the_same_after_they_were_written() -> None:
    """A run keeps them: clips that are told apart later, of whatever data, are numbered as they were learnt."""
    clips = table(machine=["fan", "valve"], attributes=[{}, {"pat": "0"}], section=["00", "01"])
    sets = label_sets(clips, ("section",))
    assert LabelSets.from_json(json.loads(json.dumps(sets.to_json()))) == sets
