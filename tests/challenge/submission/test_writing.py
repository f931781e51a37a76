"""Packages are written whole, checked and reproducible, or not at all."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from asdcli.challenge.editions.edition import Edition, edition_names, load_edition
from asdcli.challenge.editions.scorefiles import Unit, units, write_values
from asdcli.challenge.submission.checker import check_package
from asdcli.challenge.submission.meta import build_meta
from asdcli.challenge.submission.team import parse_author, system_labels
from asdcli.challenge.submission.writing import SubmittedSystem, write_package
from asdcli.errors import UserError

AUTHOR = parse_author("Erin Example <erin@example.org>, Example University, Sampletown")
DESCRIPTION = {
    "input_sampling_rate": "16kHz",
    "acoustic_features": "log-mel energies",
    "machine_learning_method": "AE",
    "development_data_usage": "development",
}


def make_system(folder: Path, edition: Edition, label: str) -> SubmittedSystem:
    """A system with 11 clips per unit (the real counts are not the writer's concern), its files under odd names."""
    scores: dict[Unit, Path] = {}
    decisions: dict[Unit, Path] = {}
    for number, unit in enumerate(units(edition, "eval")):
        names = sorted(expected(edition)[unit])
        scores[unit], decisions[unit] = folder / f"{label}_{number}.csv", folder / f"{label}_{number}_binary.csv"
        write_values(scores[unit], names, [i / 3 for i in range(len(names))])
        write_values(decisions[unit], names, [i % 2 for i in range(len(names))])
    meta = build_meta(
        edition,
        label,
        name="Example",
        abbreviation="Ex",
        authors=[AUTHOR],
        description=DESCRIPTION,
        total_parameters=1000,
        results={machine: dict.fromkeys(edition.result_keys, 50.0) for machine in edition.machines["dev"]},
    )
    return SubmittedSystem(label, scores, decisions, meta)


def expected(edition: Edition) -> dict[Unit, set[str]]:
    def name(unit: Unit, number: int) -> str:
        if edition.name == "dcase2020":
            return f"id_{unit.section}_{number:08d}.wav"
        return f"section_{unit.section}_{unit.domain + '_test_' if unit.domain else ''}{number:04d}.wav"

    return {unit: {name(unit, number) for number in range(11)} for unit in units(edition, "eval")}


def make_systems(folder: Path, edition: Edition, count: int = 1) -> list[SubmittedSystem]:
    return [make_system(folder, edition, label) for label in system_labels("Example_UNI_task2_1", count)]


@pytest.fixture
def report_pdf(tmp_path: Path) -> Path:
    path = tmp_path / "paper.pdf"
    path.write_bytes(b"%PDF-1.7")
    return path


@pytest.mark.parametrize("name", edition_names())
def test_a_package_of_every_edition_has_no_problem(name: str, tmp_path: Path, report_pdf: Path) -> None:
    edition = load_edition(name)
    systems = make_systems(tmp_path / "scores", edition, count=2)
    path = write_package(edition, systems, tmp_path / "out", report_pdf, expected(edition))
    assert path == tmp_path / "out" / "Example_UNI.zip"
    assert [file.name for file in path.parent.iterdir()] == ["Example_UNI.zip"]
    report = check_package(path, expected=expected(edition))
    assert report.problems == ()
    assert report.edition is edition
    assert report.systems == ("Example_UNI_task2_1", "Example_UNI_task2_2")


def test_layout_and_official_names(tmp_path: Path, report_pdf: Path) -> None:
    edition = load_edition("dcase2022")
    path = write_package(edition, make_systems(tmp_path, edition), tmp_path, report_pdf, expected(edition))
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        score = archive.read("task2/Example_UNI_task2_1/anomaly_score_ToyTrain_section_04_test.csv")
    assert names == sorted(names)
    assert len(names) == 2 * 7 * 3 + 2
    assert "task2/Example_UNI_task2_1/decision_result_bearing_section_03_test.csv" in names
    assert "task2/Example_UNI_task2_1/Example_UNI_task2_1.meta.yaml" in names
    assert "task2/Example_UNI_task2.technical_report.pdf" in names
    assert score.startswith(b"section_04_0000.wav,0.0\nsection_04_0001.wav,0.3333333333333333\n")


def test_2020_has_no_decision_files(tmp_path: Path) -> None:
    edition = load_edition("dcase2020")
    path = write_package(edition, make_systems(tmp_path, edition), tmp_path, None, expected(edition))
    with zipfile.ZipFile(path) as archive:
        assert not [name for name in archive.namelist() if "decision" in name]
    assert [problem.level for problem in check_package(path, edition, expected(edition)).problems] == ["warning"]


def test_equal_systems_give_equal_zips(tmp_path: Path) -> None:
    edition = load_edition("demo")
    first, second = (
        write_package(edition, make_systems(tmp_path / part, edition), tmp_path / part / "out", None, expected(edition))
        for part in ("a", "b")
    )
    assert first.read_bytes() == second.read_bytes()


def test_a_package_with_errors_is_not_written_and_an_older_one_stays(tmp_path: Path) -> None:
    edition = load_edition("demo")
    systems = make_systems(tmp_path / "scores", edition)
    path = write_package(edition, systems, tmp_path / "out", None, expected(edition))
    before = path.read_bytes()
    unit, scores = next(iter(systems[0].score_files.items()))
    scores.write_text(scores.read_text().replace("0.0", "nan", 1))
    next(iter(systems[0].decision_files.values())).write_text("section_00_0000.wav,7\n")
    with pytest.raises(UserError) as caught:
        write_package(edition, systems, tmp_path / "out", None, expected(edition))
    where = "task2/Example_UNI_task2_1/"
    assert str(caught.value).splitlines() == [
        "The package would not be valid, so it was not written:",
        f"  {where}anomaly_score_{unit.machine}_section_00_test.csv: line 1: the value is nan, not a finite number",
        f"  {where}decision_result_{unit.machine}_section_00_test.csv: line 1: the decision is 7, not 0 or 1",
        f"  {where}decision_result_{unit.machine}_section_00_test.csv:"
        " clip 'section_00_0001.wav' is missing (10 such clips)",
    ]
    assert [file.name for file in path.parent.iterdir()] == ["Example_UNI.zip"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("machines", [("press",), ("ToyCar",)])
def test_own_data_sets_of_one_label_do_not_write_over_each_other(tmp_path: Path, machines: tuple[str, ...]) -> None:
    """Though their machines tell no edition, or that of another."""
    alpha, beta = load_edition("alpha", own=True), load_edition("beta", own=True)
    scores, decisions = tmp_path / "scores.csv", tmp_path / "decisions.csv"
    write_values(scores, ["a.wav", "b.wav"], [0.5, 1.5])
    write_values(decisions, ["a.wav", "b.wav"], [0, 1])
    found = {Unit(machine, "00", ""): scores for machine in machines}
    meta = make_system(tmp_path, load_edition("demo"), "Example_UNI_task2_1").meta
    system = SubmittedSystem("Example_UNI_task2_1", found, dict.fromkeys(found, decisions), {**meta, "results": {}})
    path = write_package(alpha, [system], tmp_path / "out")
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"is a package of alpha, and one of beta would take its place"):
        write_package(beta, [system], tmp_path / "out")
    assert path.read_bytes() == before
    assert write_package(alpha, [system], tmp_path / "out").read_bytes() == before


def test_a_missing_machine_type_stops_the_package(tmp_path: Path) -> None:
    edition = load_edition("dcase2026")
    system = make_system(tmp_path / "scores", edition, "Example_UNI_task2_1")
    scores = {unit: path for unit, path in system.score_files.items() if unit.machine != "Sander"}
    decisions = {unit: path for unit, path in system.decision_files.items() if unit.machine != "Sander"}
    with pytest.raises(UserError, match="machine type 'Sander' is missing altogether") as caught:
        write_package(
            edition,
            [SubmittedSystem(system.label, scores, decisions, system.meta)],
            tmp_path / "out",
            None,
            expected(edition),
        )
    assert len(str(caught.value).splitlines()) == 2


def test_labels_must_make_one_package(tmp_path: Path) -> None:
    edition = load_edition("demo")
    one, other = (make_system(tmp_path, edition, label) for label in ("Example_UNI_task2_1", "Other_UNI_task2_2"))
    for systems in ([], [one, other], [one, one]):
        with pytest.raises(UserError, match="do not make one package"):
            write_package(edition, systems, tmp_path / "out")
    with pytest.raises(UserError, match="not a submission label"):
        write_package(edition, [SubmittedSystem("mine", {}, {}, {})], tmp_path / "out")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    edition = load_edition("demo")
    with pytest.raises(UserError, match=r"Cannot read .*paper\.pdf"):
        write_package(edition, make_systems(tmp_path, edition), tmp_path / "out", tmp_path / "paper.pdf")
    assert not (tmp_path / "out").exists()
