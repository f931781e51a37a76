"""The checker: valid packages of every edition pass in silence, and each defect is told in exactly its one line."""

from __future__ import annotations

import os
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asdcli.challenge.editions.counts import clip_count
from asdcli.challenge.editions.edition import Edition, edition_names, load_edition
from asdcli.challenge.editions.scorefiles import Unit, decision_name, score_name, units
from asdcli.challenge.submission import package as package_module
from asdcli.challenge.submission.checker import Report, check_package
from asdcli.challenge.submission.filecheck import check_clips, check_values, read_table
from asdcli.challenge.submission.meta import build_meta, dump_meta
from asdcli.challenge.submission.team import parse_author
from asdcli.errors import UserError

LABEL = "Example_UNI_task2_1"
TOP = f"task2/{LABEL}/"
REPORT = "task2/Example_UNI_task2.technical_report.pdf"
AUTHOR = parse_author("Erin Example <erin@example.org>, Example University, Sampletown")

Files = dict[str, bytes]


def clip_names(edition: Edition, unit: Unit) -> list[str]:
    """Names of the evaluation clips of a unit, as many as the edition has (12 where that is not known)."""
    numbers = range(clip_count(edition, "eval", unit) or 12)
    if edition.name == "dcase2020":
        return [f"id_{unit.section}_{i:08d}.wav" for i in numbers]
    domain = f"{unit.domain}_test_" if unit.domain else ""
    return [f"section_{unit.section}_{domain}{i:04d}.wav" for i in numbers]


def rows(names: list[str], values: list[Any]) -> bytes:
    return "".join(f"{name},{value}\n" for name, value in zip(names, values, strict=True)).encode()


def valid_files(edition: Edition, label: str = LABEL) -> Files:
    meta = build_meta(
        edition,
        label,
        name="Example",
        abbreviation="Ex",
        authors=[AUTHOR],
        description={
            "input_sampling_rate": "16kHz",
            "acoustic_features": "log-mel energies",
            "machine_learning_method": "AE",
            "development_data_usage": "development",
        },
        total_parameters=1000,
        results={m: dict.fromkeys(edition.result_keys, 55.5) for m in edition.machines["dev"]},
    )
    files = {f"task2/{label}/{label}.meta.yaml": dump_meta(meta).encode(), REPORT: b"%PDF-1.7"}
    for unit in units(edition, "eval"):
        names = clip_names(edition, unit)
        files[f"task2/{label}/{score_name(edition, unit)}"] = rows(names, [i / 7 for i in range(len(names))])
        if edition.decision_file:
            files[f"task2/{label}/{decision_name(edition, unit)}"] = rows(names, [i % 2 for i in range(len(names))])
    return files


def write_zip(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_folder(path: Path, files: Files) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def lines(report: Report) -> list[str]:
    return [str(problem) for problem in report.problems]


# --- valid packages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", edition_names())
def test_valid_packages_of_every_edition_have_no_problem_and_tell_their_edition(name: str, tmp_path: Path) -> None:
    edition = load_edition(name)
    files = valid_files(edition)
    expected = {unit: set(clip_names(edition, unit)) for unit in units(edition, "eval")}
    report = check_package(write_zip(tmp_path / "Example_UNI.zip", files))
    assert lines(report) == []
    assert (report.edition, report.inferred, report.systems, report.ok) == (edition, True, (LABEL,), True)
    folder = write_folder(tmp_path / "given", files)
    for path in (folder, folder / "task2", folder / "task2" / LABEL):
        report = check_package(path, edition, expected)
        assert lines(report) == []
        assert not report.inferred


@pytest.mark.parametrize("change", [lambda n: f"Example_UNI/{n}", lambda n: n.replace("task2/", "a/b/task2/", 1)])
def test_a_zip_may_have_folders_above_task2(change: Callable[[str], str], tmp_path: Path) -> None:
    files = {change(name): data for name, data in valid_files(load_edition("dcase2026")).items()}
    assert lines(check_package(write_zip(tmp_path / "x.zip", files))) == []


def test_quirks_of_real_packages(tmp_path: Path) -> None:
    """The report by system (2025), rubbish of file managers, Windows line ends, a missing last line end."""
    files = valid_files(load_edition("dcase2025"))
    files[f"{TOP}{LABEL}.technical_report.pdf"] = files.pop(REPORT)
    files |= {"__MACOSX/task2/._x.csv": b"\0", f"{TOP}.DS_Store": b"\0", "task2/Thumbs.db": b""}
    scores = f"{TOP}anomaly_score_ToyPet_section_00_test.csv"
    files[scores] = files[scores].replace(b"\n", b"\r\n").rstrip()
    assert lines(check_package(write_zip(tmp_path / "x.zip", files))) == []


def test_the_names_of_2022_without_test_are_accepted_with_a_warning(tmp_path: Path) -> None:
    files = {name.replace("_test.csv", ".csv"): data for name, data in valid_files(load_edition("dcase2022")).items()}
    report = check_package(write_zip(tmp_path / "x.zip", files))
    assert report.ok
    assert report.edition is load_edition("dcase2022")
    assert lines(report) == [
        f"warning: {TOP}anomaly_score_ToyCar_section_03.csv: the name lacks '_test',"
        " without which the official evaluator does not find it (42 such files)"
    ]


def test_four_systems_pass_and_a_fifth_does_not(tmp_path: Path) -> None:
    edition = load_edition("dcase2026")
    files: Files = {}
    for index in (1, 2, 3, 4):
        files |= valid_files(edition, f"Example_UNI_task2_{index}")
    assert lines(check_package(write_zip(tmp_path / "four.zip", files))) == []
    files |= valid_files(edition, "Example_XYZ_task2_1")
    assert lines(check_package(write_zip(tmp_path / "five.zip", files))) == [
        "error: five.zip: holds 5 systems; at most 4 are allowed"
    ]


# --- one defect, one line -------------------------------------------------------------------------------------------


SCANNER = Unit("Scanner", "00")
SCORE = TOP + score_name(load_edition("dcase2024"), SCANNER)
DECISION = TOP + decision_name(load_edition("dcase2024"), SCANNER)
META = f"{TOP}{LABEL}.meta.yaml"
NAMES = clip_names(load_edition("dcase2024"), SCANNER)
KNOWN = {unit: set(clip_names(load_edition("dcase2024"), unit)) for unit in units(load_edition("dcase2024"), "eval")}

Mutation = Callable[[Files], Any]


def line_of(path: str, number: int, text: str | None) -> Mutation:
    """Replace a line (from 1), or take it out."""

    def mutate(files: Files) -> None:
        parts = files[path].decode().splitlines()
        parts[number - 1 : number] = [] if text is None else [text]
        files[path] = ("\n".join(parts) + "\n").encode()

    return mutate


def renamed(old: str, new: str) -> Mutation:
    return lambda files: files.update({new: files.pop(old)})


def without(word: str) -> Mutation:
    return lambda files: [files.pop(name) for name in list(files) if word in name]


def added(path: str, data: bytes) -> Mutation:
    return lambda files: files.update({path: data})


def folder_renamed(new: str) -> Mutation:
    return lambda files: [files.update({n.replace(TOP, new): files.pop(n)}) for n in list(files) if n.startswith(TOP)]


def in_meta(old: str, new: str) -> Mutation:
    return lambda files: files.update({META: files[META].replace(old.encode(), new.encode(), 1)})


ONE_LINE: dict[str, tuple[Mutation, str]] = {
    # names of files
    "misnamed": (
        renamed(SCORE, f"{TOP}anomaly_scores_Scanner_section_00_test.csv"),
        f"error: {TOP}anomaly_scores_Scanner_section_00_test.csv:"
        " the file should be named 'anomaly_score_Scanner_section_00_test.csv'",
    ),
    "without _test": (
        renamed(SCORE, SCORE.replace("_test", "")),
        f"error: {TOP}anomaly_score_Scanner_section_00.csv:"
        " the file should be named 'anomaly_score_Scanner_section_00_test.csv'",
    ),
    "misspelt machine type": (
        renamed(SCORE, SCORE.replace("Scanner", "scaner")),
        f"error: {TOP}anomaly_score_scaner_section_00_test.csv:"
        " the file should be named 'anomaly_score_Scanner_section_00_test.csv'",
    ),
    "wrong section": (
        renamed(DECISION, DECISION.replace("_00_", "_01_")),
        f"error: {TOP}decision_result_Scanner_section_01_test.csv:"
        " the file should be named 'decision_result_Scanner_section_00_test.csv'",
    ),
    "another machine type": (
        added(f"{TOP}anomaly_score_pump_section_00_test.csv", b"a.wav,1\n"),
        f"error: {TOP}anomaly_score_pump_section_00_test.csv: is no file of dcase2024, whose machine types are"
        f" {', '.join(load_edition('dcase2024').machines['eval'])}",
    ),
    "development set": (
        added(f"{TOP}anomaly_score_fan_section_00_test.csv", b"a.wav,1\n"),
        f"error: {TOP}anomaly_score_fan_section_00_test.csv:"
        " is about the development set; a submission holds the evaluation set",
    ),
    "score file missing": (
        lambda files: files.pop(SCORE),
        f"error: task2/{LABEL}: the file 'anomaly_score_Scanner_section_00_test.csv' is missing",
    ),
    "decision file missing": (
        lambda files: files.pop(DECISION),
        f"error: task2/{LABEL}: the file 'decision_result_Scanner_section_00_test.csv' is missing",
    ),
    "machine type missing": (
        without("Scanner"),
        f"error: task2/{LABEL}: machine type 'Scanner' is missing altogether (2 files)",
    ),
    "decisions missing": (without("decision_"), f"error: task2/{LABEL}: all 9 decision files are missing"),
    "strange file": (added(f"{TOP}notes.txt", b"x"), f"warning: {TOP}notes.txt: is not part of a submission"),
    "strange csv": (added(f"{TOP}loss.csv", b"x"), f"warning: {TOP}loss.csv: is not part of a submission"),
    # clips
    "clip missing": (line_of(SCORE, 6, None), f"error: {SCORE}: clip 'section_00_0005.wav' is missing"),
    "clip extra": (
        line_of(SCORE, 200, "section_00_0199.wav,1.0\nsection_00_0200.wav,1.0"),
        f"error: {SCORE}: clip 'section_00_0200.wav' is not an evaluation clip of Scanner section 00",
    ),
    "clips twice": (
        line_of(SCORE, 1, "section_00_0000.wav,1\nsection_00_0003.wav,2\nsection_00_0007.wav,2"),
        f"error: {SCORE}: clip 'section_00_0003.wav' stands more than once (2 such clips)",
    ),
    "names of another kind": (
        lambda files: files.update({SCORE: files[SCORE].replace(b".wav", b"")}),
        f"error: {SCORE}: no clip name is a known one:"
        " 'section_00_0000' instead of a name such as 'section_00_0000.wav'",
    ),
    # values
    "text": (line_of(SCORE, 5, "section_00_0004.wav,high"), f"error: {SCORE}: line 5: 'high' is not a number"),
    "no value": (line_of(SCORE, 5, "section_00_0004.wav,"), f"error: {SCORE}: line 5: '' is not a number"),
    "nan": (
        line_of(SCORE, 5, "section_00_0004.wav,nan"),
        f"error: {SCORE}: line 5: the value is nan, not a finite number",
    ),
    "infinite": (
        line_of(SCORE, 1, "section_00_0000.wav,-inf"),
        f"error: {SCORE}: line 1: the value is -inf, not a finite number",
    ),
    "too large for a float": (
        line_of(SCORE, 1, "section_00_0000.wav,1e999"),
        f"error: {SCORE}: line 1: the value is inf, not a finite number",
    ),
    "constant": (
        lambda files: files.update({SCORE: rows(NAMES, [0.5] * 200)}),
        f"error: {SCORE}: all 200 scores are 0.5; constant scores tell nothing",
    ),
    "decision 2": (
        line_of(DECISION, 3, "section_00_0002.wav,2"),
        f"error: {DECISION}: line 3: the decision is 2, not 0 or 1",
    ),
    "decisions are scores": (
        lambda files: files.update({DECISION: files[SCORE]}),
        f"error: {DECISION}: line 2: the decision is 0.142857, not 0 or 1 (198 such lines)",
    ),
    # rows
    "header": (
        line_of(SCORE, 1, "filename,score\nsection_00_0000.wav,1"),
        f"error: {SCORE}: line 1: 'filename,score' is a header line, which these files do not have",
    ),
    "one column": (line_of(SCORE, 1, "section_00_0000.wav"), f"error: {SCORE}: line 1: has 1 column instead of 2"),
    "semicolons": (
        lambda files: files.update({SCORE: files[SCORE].replace(b",", b";").replace(b".wav;", b".wav,x;")}),
        f"error: {SCORE}: line 1: 'x;0.0' is not a number (200 such lines)",
    ),
    "three columns": (
        line_of(SCORE, 2, "section_00_0001.wav,1,2"),
        f"error: {SCORE}: line 2: has 3 columns instead of 2",
    ),
    "blank line": (line_of(SCORE, 1, "section_00_0000.wav,1\n"), f"error: {SCORE}: line 2: is blank"),
    "empty file": (lambda files: files.update({SCORE: b""}), f"error: {SCORE}: is empty"),
    "not text": (lambda files: files.update({SCORE: b"\xff\xfe\x00"}), f"error: {SCORE}: is no text file in UTF-8"),
    "byte order mark": (
        lambda files: files.update({SCORE: b"\xef\xbb\xbf" + files[SCORE]}),
        f"error: {SCORE}: line 1: begins with a byte order mark, which becomes part of the clip name;"
        " save as plain UTF-8",
    ),
    # labels, folders, meta files, report
    "folder": (
        folder_renamed("task2/Example_UNI_1/"),
        f"error: task2/Example_UNI_1: the folder is named 'Example_UNI_1'; the label in the meta file is '{LABEL}'",
    ),
    "another label": (
        in_meta(LABEL, "Example_UNI_task2_2"),
        f"error: {META}: submission.label is 'Example_UNI_task2_2', but the folder is named '{LABEL}'",
    ),
    "meta missing": (
        lambda files: files.pop(META),
        f"error: task2/{LABEL}: the meta file '{LABEL}.meta.yaml' is missing",
    ),
    "meta misnamed": (
        renamed(META, f"{TOP}meta.yaml"),
        f"error: {TOP}meta.yaml: the meta file should be named '{LABEL}.meta.yaml'",
    ),
    "meta empty": (lambda files: files.update({META: b""}), f"error: {META}: the file holds no mapping of fields"),
    "meta syntax": (
        in_meta("  abbreviation", "    abbreviation"),
        f"error: {META}: line 4: no valid YAML, mapping values are not allowed here (check the indentation)",
    ),
    "meta not text": (lambda files: files.update({META: b"\xff"}), f"error: {META}: is no text file in UTF-8"),
    "meta bad date": (
        in_meta("name: Example\n", "name: 2024-99-99\n"),
        f"error: {META}: no valid YAML, month must be in 1..12",
    ),
    "meta field": (
        in_meta("abbreviation: Ex\n", "abbreviation: ExampleSystem\n"),
        f"error: {META}: submission.abbreviation 'ExampleSystem' has 13 characters; at most 10 are allowed",
    ),
    "meta unknown field": (
        in_meta("  source_code", "  comment: hi\n  source_code"),
        f"warning: {META}: unknown field 'system.comment'.",
    ),
    "report missing": (
        lambda files: files.pop(REPORT),
        f"warning: x.zip: the technical report {REPORT} is missing",
    ),
    "report misnamed": (
        renamed(REPORT, "task2/report.pdf"),
        "warning: task2/report.pdf: the technical report should be named 'Example_UNI_task2.technical_report.pdf'",
    ),
    "no task2": (
        lambda files: [files.update({n.removeprefix("task2/"): files.pop(n)}) for n in list(files)],
        "warning: x.zip: not all systems lie in a folder 'task2', as in task2/<label>/",
    ),
    "path outside": (
        added("../evil.sh", b"x"),
        "error: ../evil.sh: the path leads outside the package, or is no plain relative path",
    ),
    "absolute path": (
        added("/etc/passwd", b"x"),
        "error: /etc/passwd: the path leads outside the package, or is no plain relative path",
    ),
    "backslashes": (
        added("task2\\x.csv", b"x"),
        "error: task2\\x.csv: the path leads outside the package, or is no plain relative path",
    ),
    "control characters": (
        added(f"{TOP}\x1b[31m\n.txt", b"x"),
        f"warning: {TOP}?[31m?.txt: is not part of a submission",
    ),
}


@pytest.mark.parametrize("kind", ONE_LINE)
def test_each_defect_is_one_line(kind: str, tmp_path: Path) -> None:
    mutate, line = ONE_LINE[kind]
    files = valid_files(load_edition("dcase2024"))
    mutate(files)
    report = check_package(write_zip(tmp_path / "x.zip", files), expected=KNOWN)
    assert lines(report) == [line]
    assert report.edition is load_edition("dcase2024")
    assert report.ok == line.startswith("warning")


def all_files(change: Callable[[str], str]) -> Mutation:
    """Change the names of all score and decision files."""
    return lambda files: [
        files.update({TOP + change(n.removeprefix(TOP)): files.pop(n)}) for n in list(files) if ".csv" in n
    ]


def in_all(old: bytes, new: bytes) -> Mutation:
    """Replace in all score files, once each."""
    return lambda files: [files.update({n: files[n].replace(old, new, 1)}) for n in list(files) if "anomaly_" in n]


FIRST = f"{TOP}anomaly_score_3DPrinter_section_00"
IN_MANY: dict[str, tuple[Mutation, str]] = {
    "without _test": (
        all_files(lambda name: name.replace("_test.csv", ".csv")),
        f"error: {FIRST}.csv: the file should be named 'anomaly_score_3DPrinter_section_00_test.csv' (18 such files)",
    ),
    "id for section, capitals": (
        all_files(lambda name: name.replace("_section_00_test.csv", "_id_00.CSV")),
        f"error: {TOP}anomaly_score_3DPrinter_id_00.CSV: the file should be named"
        " 'anomaly_score_3DPrinter_section_00_test.csv' (18 such files)",
    ),
    "as the baseline names them": (
        all_files(lambda n: re.sub("(score|result)_(.*)_test", r"\1_DCASE2024T2\2_test_seed13711_id(0)", n)),
        f"error: {TOP}anomaly_score_DCASE2024T23DPrinter_section_00_test_seed13711_id(0).csv: the file should be named"
        " 'anomaly_score_3DPrinter_section_00_test.csv' (18 such files)",
    ),
    "headers": (
        lambda files: [files.update({n: b"file,value\n" + files[n]}) for n in list(files) if ".csv" in n],
        f"error: {FIRST}_test.csv: line 1: 'file,value' is a header line, which these files do not have"
        " (18 such files)",
    ),
    "two machine types missing": (
        lambda files: [without("Scanner")(files), without("ToothBrush")(files)],
        f"error: task2/{LABEL}: machine types 'Scanner', 'ToothBrush' are missing altogether (4 files)",
    ),
    "decision files missing": (
        lambda files: [files.pop(f"{TOP}decision_result_{m}_section_00_test.csv") for m in ("Scanner", "HairDryer")],
        f"error: task2/{LABEL}: the file 'decision_result_HairDryer_section_00_test.csv' is missing (2 such files)",
    ),
    "a clip too many": (
        in_all(b"section_00_0007.wav", b"section_00_9999.wav"),
        f"error: {FIRST}_test.csv: clip 'section_00_0007.wav' is missing (9 such files)",
    ),
    "machine types in the results": (
        in_meta("  development_dataset:\n", "  development_dataset:\n    crane: {auc_source: 1}\n    loom: {}\n"),
        f"error: {META}: results.development_dataset.crane: unknown machine type. (2 such machine types)",
    ),
}


@pytest.mark.parametrize("kind", IN_MANY)
def test_one_kind_of_defect_is_told_once_with_its_count(kind: str, tmp_path: Path) -> None:
    mutate, line = IN_MANY[kind]
    files = valid_files(load_edition("dcase2024"))
    mutate(files)
    report = check_package(write_zip(tmp_path / "x.zip", files), expected=KNOWN)
    assert lines(report)[0] == line
    assert len(report.problems) == (2 if kind == "a clip too many" else 1)  # one is missing, another is unknown
    assert report.edition is load_edition("dcase2024")


def test_a_defect_of_all_systems_is_told_once(tmp_path: Path) -> None:
    files: Files = {}
    for index in (1, 2):
        files |= valid_files(load_edition("dcase2024"), f"Example_UNI_task2_{index}")
    in_all(b"section_00_0000.wav,0.0", b"section_00_0000.wav,nan")(files)
    assert lines(check_package(write_zip(tmp_path / "x.zip", files))) == [
        f"error: {FIRST}_test.csv: line 1: the value is nan, not a finite number (18 such files)"
    ]


def test_a_second_file_about_the_same_is_no_file_of_another_edition(tmp_path: Path) -> None:
    files = valid_files(load_edition("dcase2024"))
    second = SCORE.replace("_test", "")
    files[second] = files[SCORE]
    assert lines(check_package(write_zip(tmp_path / "x.zip", files))) == [
        f"error: {second}: is a second file of what 'anomaly_score_Scanner_section_00_test.csv' is about"
    ]


BY_RULE: dict[str, tuple[Mutation, str]] = {
    "clip missing": (
        line_of(SCORE, 6, None),
        f"error: {SCORE}: 199 clips, where dcase2024 has 200 of Scanner section 00",
    ),
    "clip of another section": (
        line_of(SCORE, 1, "section_01_0000.wav,1"),
        f"error: {SCORE}: 'section_01_0000.wav' is not a clip name of Scanner section 00",
    ),
    "label told": (
        line_of(SCORE, 1, "section_00_source_test_normal_0000.wav,1"),
        f"error: {SCORE}: 'section_00_source_test_normal_0000.wav' is not a clip name of Scanner section 00",
    ),
    "folder in the name": (
        line_of(SCORE, 1, "test/section_00_0000.wav,1"),
        f"error: {SCORE}: 'test/section_00_0000.wav' is not a clip name of Scanner section 00",
    ),
    "clip extra": (
        line_of(SCORE, 1, "section_00_0000.wav,1\nnoise.wav,1"),
        f"error: {SCORE}: 'noise.wav' is not a clip name of Scanner section 00",
    ),
    "different clips": (
        line_of(DECISION, 1, "section_00_0200.wav,1"),
        f"error: {SCORE}: Scanner section 00: score and decision file differ in their clips;"
        " 'section_00_0200.wav' is in the decision file only (2 such clips)",
    ),
}


@pytest.mark.parametrize("kind", BY_RULE)
def test_without_known_clips_the_rules_of_the_edition_tell(kind: str, tmp_path: Path) -> None:
    mutate, line = BY_RULE[kind]
    files = valid_files(load_edition("dcase2024"))
    mutate(files)
    assert lines(check_package(write_zip(tmp_path / "x.zip", files))) == [line]


def test_2021_knows_the_domain_of_a_clip_and_its_own_counts(tmp_path: Path) -> None:
    edition = load_edition("dcase2021")
    assert clip_count(edition, "eval", Unit("gearbox", "03", "target")) == 286
    files = valid_files(edition)
    path = f"{TOP}anomaly_score_fan_section_03_source_test.csv"
    line_of(path, 1, "section_03_target_test_0000.wav,1")(files)
    assert lines(check_package(write_zip(tmp_path / "x.zip", files))) == [
        f"error: {path}: 'section_03_target_test_0000.wav' is not a clip name of fan section 03 source"
    ]


def test_2020_has_no_decision_files(tmp_path: Path) -> None:
    files = valid_files(load_edition("dcase2020"))
    files[f"{TOP}decision_result_fan_id_01.csv"] = b"id_01_00000000.wav,1\n"
    assert lines(check_package(write_zip(tmp_path / "x.zip", files))) == [
        f"warning: {TOP}decision_result_fan_id_01.csv: dcase2020 has no decision files"
    ]


# --- the edition ----------------------------------------------------------------------------------------------------


def test_an_edition_that_is_not_clear_is_asked_for(tmp_path: Path) -> None:
    toothbrush = f"{TOP}anomaly_score_ToothBrush_section_00_test.csv"
    data = valid_files(load_edition("dcase2024"))[toothbrush]
    with pytest.raises(UserError, match="may be dcase2024 or dcase2026") as caught:
        check_package(write_zip(tmp_path / "one.zip", {toothbrush: data}))
    assert "--data" in caught.value.hint
    with pytest.raises(UserError, match="no file is named as in any evaluation set"):
        check_package(write_zip(tmp_path / "none.zip", {f"{TOP}x.csv": data}))


def test_the_results_in_the_meta_file_decide_between_editions(tmp_path: Path) -> None:
    files = valid_files(load_edition("dcase2026"))
    some = {name: data for name, data in files.items() if "ToothBrush" in name or "meta" in name}
    report = check_package(write_zip(tmp_path / "x.zip", some))
    assert report.edition is load_edition("dcase2026")


def test_own_data(tmp_path: Path) -> None:
    """Machine types are those of the files, and those expected."""
    edition = load_edition("mill", own=True)
    meta = build_meta(edition, LABEL, name="Example", abbreviation="Ex", authors=[AUTHOR])
    names = ["a.wav", "b.wav"]
    files = {
        META: dump_meta(meta).encode(),
        f"{TOP}anomaly_score_saw_section_00_test.csv": rows(names, [1, 2]),
        f"{TOP}decision_result_saw_section_00_test.csv": rows(names, [0, 1]),
        f"{TOP}anomaly_score_saw.csv": b"",
    }
    expected = {Unit("saw", "00"): {"a.wav", "b.wav", "c.wav"}, Unit("drill", "00"): {"a.wav"}}
    report = check_package(write_folder(tmp_path / "x", files), edition, expected)
    assert [str(problem) for problem in report.errors] == [
        f"error: x/{TOP}anomaly_score_saw.csv:"
        " the name has not the form anomaly_score_{machine}_section_{section}_test.csv",
        f"error: x/task2/{LABEL}: machine type 'drill' is missing altogether (2 files)",
        f"error: x/{TOP}anomaly_score_saw_section_00_test.csv: clip 'c.wav' is missing (2 such files)",
    ]


# --- damaged and hostile packages -----------------------------------------------------------------------------------


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no package at"):
        check_package(tmp_path / "x.zip")
    report = check_package(write_zip(tmp_path / "y.zip", {"readme.txt": b"x"}))
    assert lines(report) == [
        "error: y.zip: holds no system: there is no folder with anomaly_score_….csv files or a <label>.meta.yaml"
    ]
    assert report.edition is None
    (tmp_path / "empty").mkdir()
    assert not check_package(tmp_path / "empty").ok


def test_a_file_that_is_no_zip(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    for data in (b"", b"hello", write_zip(tmp_path / "v.zip", valid_files(load_edition("demo"))).read_bytes()[:-80]):
        path.write_bytes(data)
        assert lines(check_package(path)) == ["error: x.zip: is no zip file, or a damaged one (File is not a zip file)"]


def test_what_may_be_waited_for_for_ever_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.zip")
    assert lines(check_package(tmp_path / "x.zip")) == ["error: x.zip: is neither a folder nor a regular file"]
    edition = load_edition("demo")
    for name, data in valid_files(edition).items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    odd = next((tmp_path / "folder").rglob("anomaly_score_*"))
    odd.unlink()
    os.mkfifo(odd)
    assert f"error: {odd.relative_to(tmp_path)}: is no regular file, or a link to none" in lines(
        check_package(tmp_path / "folder")
    )


def test_a_damaged_member(tmp_path: Path) -> None:
    files = valid_files(load_edition("demo"))
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    path.write_bytes(path.read_bytes().replace(b"section_00_0003.wav,0.42", b"section_00_0003.wav,0.43"))
    score = f"{TOP}anomaly_score_SynPump_section_00_test.csv"
    assert lines(check_package(path)) == [f"error: {score}: cannot be read: Bad CRC-32 for file '{score}'"]


def test_an_encrypted_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", valid_files(load_edition("demo")))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    struct.pack_into("<H", data, at + 8, 1)
    path.write_bytes(data)
    assert lines(check_package(path)) == ["error: x.zip: is encrypted; a submission is a plain zip"]


def test_a_file_without_a_name(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", valid_files(load_edition("demo")) | {"QQQ": b""})
    path.write_bytes(path.read_bytes().replace(b"QQQ", b"\0\0\0"))
    assert lines(check_package(path)) == [
        "error: (no name): the path leads outside the package, or is no plain relative path"
    ]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_twice_in_the_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", valid_files(load_edition("dcase2024")))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(SCORE, rows(NAMES, list(range(200))))
    assert lines(check_package(path)) == [f"error: {SCORE}: stands 2 times in the zip"]


def test_absurd_sizes_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = valid_files(load_edition("demo"))
    score = f"{TOP}anomaly_score_SynPump_section_00_test.csv"
    bomb = write_zip(tmp_path / "bomb.zip", files | {score: b"0" * (9 << 20)})
    assert bomb.stat().st_size < 30_000
    assert lines(check_package(bomb)) == [f"error: {score}: has more than 8 MB, far too large for its kind"]
    monkeypatch.setattr(package_module, "MAX_BYTES", 1 << 20)
    assert lines(check_package(bomb)) == ["error: bomb.zip: unpacks to 9 MB, far too large for a package"]
    monkeypatch.setattr(package_module, "MAX_FILES", 3)
    many = write_zip(tmp_path / "many.zip", files)
    assert lines(check_package(many)) == ["error: many.zip: holds 4 files; a submission has at most some hundreds"]
    folder = write_folder(tmp_path / "many", files)
    assert lines(check_package(folder)) == ["error: many: holds more than 3 files; this is no submission package"]


# --- anything at all ------------------------------------------------------------------------------------------------

csv_like = st.lists(
    st.sampled_from([b"a.wav", b",", b"\n", b'"', b"1", b"nan", b"\r", b"\xff", b"\xef\xbb\xbf", b"\0"])
)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200) | csv_like.map(b"".join))
def test_any_bytes_as_a_csv_give_lines_and_no_crash(data: bytes) -> None:
    edition = load_edition("dcase2024")
    table = read_table(data)
    problems = [
        *table.problems,
        *check_clips(table.names, SCANNER, edition, None),
        *check_values(table.values, "score"),
    ]
    assert problems  # nothing random is a valid file
    assert all(kind and line for kind, line in problems)
    list(check_clips(table.names, SCANNER, edition, KNOWN[SCANNER]))
    list(check_values(table.values, "decision"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(meta=st.binary(max_size=100) | st.text("{}[]:-,&*!|>'\"#%@ \n\tabc123", max_size=60).map(str.encode))
def test_any_bytes_as_a_meta_file_give_lines_and_no_crash(meta: bytes, tmp_path: Path) -> None:
    files = valid_files(load_edition("demo")) | {META: meta}
    report = check_package(write_zip(tmp_path / "x.zip", files))
    assert not report.ok
    assert all("\n" not in line for line in lines(report))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=20))
def test_a_zip_with_flipped_bytes_never_crashes(changes: list[tuple[int, int]], tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", valid_files(load_edition("demo")))
    data = bytearray(path.read_bytes())
    for at, value in changes:
        data[at % len(data)] = value
    path.write_bytes(data)
    assert isinstance(check_package(path, load_edition("demo")), Report)


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_random_valid_package_always_passes(data: st.DataObject, tmp_path: Path) -> None:
    edition = load_edition(data.draw(st.sampled_from(["dcase2020", "dcase2023", "dcase2026", "demo"])))
    files = valid_files(edition)
    unit = data.draw(st.sampled_from(units(edition, "eval")))
    names = data.draw(st.permutations(clip_names(edition, unit)))
    scores = data.draw(st.lists(finite, min_size=5, max_size=5, unique=True))
    files[TOP + score_name(edition, unit)] = rows(names, [scores[i % 5] for i in range(len(names))])
    if edition.decision_file:
        decisions = data.draw(st.lists(st.sampled_from(["0", "1", "0.0", "1.0"]), min_size=5, max_size=5))
        files[TOP + decision_name(edition, unit)] = rows(names, [decisions[i % 5] for i in range(len(names))])
    assert lines(check_package(write_zip(tmp_path / "x.zip", files))) == []
