"""Files of two labelled names for each clip (2024), alone and beside other ground truth, in the form published."""

from __future__ import annotations

from pathlib import Path

import pytest

from asdcli.challenge.editions.edition import load_edition
from asdcli.challenge.editions.scorefiles import Unit
from asdcli.challenge.editions.truth import read_truth, read_truths
from asdcli.errors import UserError

EDITION = load_edition("dcase2024")
DRONE = Unit("HoveringDrone", "00")
NAMES = [
    f"section_00_{d}_test_{k}_{n:04d}" for d in ("source", "target") for k in ("normal", "anomaly") for n in (0, 1)
]
WITH = [f"{name}_id_A1_spd_2_mic_1.wav" for name in NAMES]
WITHOUT = [f"{name}_noAttribute.wav" for name in NAMES]
EVAL = [f"section_00_{number:04d}.wav" for number in range(len(NAMES))]
LABELS = [0, 0, 1, 1] * 2


def write(path: Path, rows: list[tuple[str, ...]], header: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + "".join(",".join(row) + "\n" for row in rows))
    return path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An evaluator's repository of which the attributes name clips without what was hidden."""
    place = tmp_path / "dcase2024_task2_evaluator-main"
    file = "ground_truth_HoveringDrone_section_00_test.csv"
    write(place / "ground_truth_data" / file, [(n, str(label)) for n, label in zip(EVAL, LABELS, strict=True)])
    write(place / "ground_truth_domain" / file, [(n, str(i // 4)) for i, n in enumerate(EVAL)])
    write(place / "ground_truth_attributes" / file, list(zip(EVAL, WITHOUT, strict=True)))
    return place


@pytest.fixture
def correspondence(tmp_path: Path) -> Path:
    folder = tmp_path / "ground_truth_attributes_all/eval_data/HoveringDrone"
    write(folder / "attributes_00_train_correspondence.csv", [("a", "b")])
    rows = list(zip(WITH, WITHOUT, strict=True))
    return write(folder / "attributes_00_test_correspondence.csv", rows, "source_file_name,target_file_name\n")


def test_alone_it_tells_labels_and_domains_of_either_name(correspondence: Path) -> None:
    for place in (correspondence, *list(correspondence.parents)[:3]):
        truth = read_truth(place, EDITION)
        for names in (WITH, WITHOUT):
            labels, domains = truth.lookup(DRONE, names)
            assert labels.tolist() == LABELS
            assert domains.tolist() == ["source"] * 4 + ["target"] * 4


def test_beside_a_repository_it_leads_to_the_clips_of_the_evaluation_set(
    repository: Path, correspondence: Path
) -> None:
    for order in ([repository, correspondence], [correspondence, repository]):
        truth = read_truths(order, EDITION)
        assert set(truth.of(DRONE)) == set(EVAL)
        for names in (EVAL, WITH, WITHOUT):
            assert truth.lookup(DRONE, names)[0].tolist() == LABELS


def test_ground_truth_of_parts_is_joined(repository: Path, tmp_path: Path) -> None:
    scanner = "ground_truth_Scanner_section_00_test.csv"
    other = write(tmp_path / "other/ground_truth_data" / scanner, [("section_00_0001.wav", "1")]).parent
    truth = read_truths([repository, other], EDITION)
    assert set(truth.clips) == {("HoveringDrone", "00"), ("Scanner", "00")}
    assert truth.of(Unit("Scanner", "00")) == {"section_00_0001.wav": (1, "")}
    assert read_truths([repository, repository], EDITION) == read_truth(repository, EDITION)


def test_places_that_contradict_each_other_are_named(repository: Path, correspondence: Path) -> None:
    lines = correspondence.read_text().replace("source_test_normal_0000", "source_test_anomaly_0009")
    correspondence.write_text(lines)
    attributes = repository / "ground_truth_attributes/ground_truth_HoveringDrone_section_00_test.csv"
    attributes.write_text(attributes.read_text().replace("source_test_normal_0000", "source_test_anomaly_0009"))
    with pytest.raises(UserError, match=r"correspondence.csv contradicts the ground truth before it: .*source anomaly"):
        read_truths([repository, correspondence], EDITION)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("_test_normal_0001_noAttribute", "_test_anomaly_0001_noAttribute", "line 3: the two names tell different"),
        ("section_00_source_test_normal_0000_noAttribute.wav", "", "line 2: .* are not two names of a test clip"),
        ("section_00_source_test_normal_0000_noAttribute", "section_00_0000", "line 2: .* are not two names"),
    ],
)
def test_damaged_files(correspondence: Path, old: str, new: str, said: str) -> None:
    correspondence.write_text(correspondence.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=said):
        read_truth(correspondence, EDITION)


def test_files_that_tell_nothing(correspondence: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is about training clips"):
        read_truth(correspondence.with_name("attributes_00_train_correspondence.csv"), EDITION)
    strange = write(tmp_path / "crane/attributes_00_test_correspondence.csv", [])
    with pytest.raises(UserError, match="Unknown machine of dcase2024 'crane'"):
        read_truth(strange, EDITION)
