"""Classes from sections, attributes or domains, whichever tells training clips apart first."""

from __future__ import annotations

import pytest

from asdcli.audio.clips import ClipTable
from asdcli.errors import UserError
from asdcli.training.labels import class_labels


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


def test_sections_first() -> None:
    labels, names, source = class_labels(table(section=["00", "02", "00"]), ("section", "domain"))
    assert labels.tolist() == [0, 1, 0]
    assert names == ["fan 00", "fan 02"]
    assert source == "section"


def test_attributes_where_there_is_one_section() -> None:
    clips = table(attributes=[{"spd": "1", "mic": "2"}, {"mic": "2", "spd": "1"}, {"spd": "3"}])
    labels, _, source = class_labels(clips, ("section", "attributes", "domain"))
    assert labels.tolist() == [0, 0, 1]
    assert source == "attributes"


def test_test_clips_make_no_classes() -> None:
    clips = table(section=["00", "01", "02"], split=["train", "train", "test"])
    assert class_labels(clips, ("section",))[0].tolist() == [0, 1, -1]


def test_one_class_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(UserError, match="of a single class by section and domain") as raised:
        class_labels(table(section=["00", "00"]), ("section", "domain"))
    assert "labels:" in raised.value.hint
