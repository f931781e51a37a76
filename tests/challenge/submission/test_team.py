"""Labels of systems and authors, from one line each."""

from __future__ import annotations

import pytest
from meta_example import ERIN, LABEL, SAM

from asdcli.challenge.submission.team import Author, parse_author, parse_label, system_labels
from asdcli.errors import UserError


def test_labels() -> None:
    assert parse_label("Van-Example_UNI-2_task2_4") == ("Van-Example_UNI-2", 4)
    assert system_labels(LABEL, 4) == [f"Example_UNI_task2_{i}" for i in (1, 2, 3, 4)]
    assert system_labels("Example_UNI_task2_3", 2) == ["Example_UNI_task2_3", "Example_UNI_task2_4"]
    for wrong in ("", "Example_task2_1", "Example_UNI_task2_5", "Example_UNI_task1_1", "Exämple_UNI_task2_1"):
        with pytest.raises(UserError, match="not a submission label"):
            parse_label(wrong)
    with pytest.raises(UserError, match="go past index 4"):
        system_labels("Example_UNI_task2_2", 4)


def test_authors() -> None:
    assert (
        Author(
            "Example", "Erin", "Example University", "Sampletown Nowhere", "erin@example.org", "Department of Examples"
        )
        == ERIN
    )
    assert Author("Sample", "Sam", "Institute of Samples", "Sampletown") == SAM
    semicolons = parse_author("van Sample, Jan Erik <j@example.org>; Institute of This, That; Town, Land")
    assert semicolons == Author("van Sample", "Jan Erik", "Institute of This, That", "Town, Land", "j@example.org")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Erin",
        "Erin Example",
        "Erin Example <erin@example.org>",
        "Erin Example <erin@example.org>, Example University",
        "Erin Example <erin>, Example University, Town",
        "Erin Example erin@example.org, Example University, Town",
        "Erin Example <erin@example.org>, , Town",
        "Erin Example <erin@example.org>, A, B, C, D",
        "Erin <erin@example.org>, A, B",
    ],
)
def test_authors_that_do_not_fit_get_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match="does not fit the form 'First Last <") as caught:
        parse_author(text)
    assert "\n" not in str(caught.value)
    assert "semicolons" in caught.value.hint
