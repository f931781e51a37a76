"""Records and file names, against a list written down here from the organisers' own download lists; and the API."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest
from server import Fault, Server, running

from asdcli.challenge.editions.edition import edition_names, load_edition
from asdcli.download.records import Record, RemoteFile, file_url, read_record
from asdcli.download.transport import Line, NotThereError, Patience
from asdcli.errors import WorkError

QUICK = Patience(tries=3, tries_at_first=2, first_wait=0.01, longest_wait=0.05)

MIMII = ["bearing", "fan", "gearbox", "slider", "ToyCar", "ToyTrain", "valve"]
MACHINES = {
    2020: (["fan", "pump", "slider", "ToyCar", "ToyConveyor", "valve"],) * 2,
    2021: (["fan", "gearbox", "pump", "slider", "ToyCar", "ToyTrain", "valve"],) * 2,
    2022: (MIMII, MIMII),
    2023: (MIMII, ["bandsaw", "grinder", "shaker", "ToyDrone", "ToyNscale", "ToyTank", "Vacuum"]),
    2024: (
        MIMII,
        [
            *("3DPrinter", "AirCompressor", "BrushlessMotor", "HairDryer", "HoveringDrone"),
            *("RoboticArm", "Scanner", "ToothBrush", "ToyCircuit"),
        ],
    ),
    2025: (
        MIMII,
        ["AutoTrash", "BandSealer", "CoffeeGrinder", "HomeCamera", "Polisher", "ScrewFeeder", "ToyPet", "ToyRCCar"],
    ),
    2026: (
        ["bearingEmu", "fan", "gearboxEmu", "sliderEmu", "ToyCar", "ToyCarEmu", "valveEmu"],
        ["BlowerDustCollector", "Sander", "SewingMachine", "ToothBrush", "ToyDrone"],
    ),
}
RECORDS = {  # dev, additional training, eval
    2020: (3678171, 3727685, 3841772),
    2021: (4562016, 4660992, 4884786),
    2022: (6355122, 6462969, 6586456),
    2023: (7882613, 7830345, 7860847),
    2024: (10902294, 11259435, 11363076),
    2025: (15097779, 15392814, 15519362),
    2026: (19336329, 20151556, 20437238),
}
FORMS = {
    2020: ("dev_data_{}.zip", "eval_data_train_{}.zip", "eval_data_test_{}.zip"),
    2021: ("dev_data_{}.zip", "eval_data_{}_train.zip", "eval_data_{}_test.zip"),
}
LATER_FORMS = ("dev_{}.zip", "eval_data_{}_train.zip", "eval_data_{}_test.zip")
EXCEPTIONS = {
    (2024, "train", "3DPrinter"): "eval_data_3DPrinter_train_r2.zip",
    (2024, "train", "RoboticArm"): "eval_data_RoboticArm_train_r2.zip",
    (2026, "dev", "ToyCar"): "dev_ToyCar_r2.zip",
}
KNOWN_MD5S = {2020: (6, 6, 6), 2023: (7, 7, 7), 2026: (1, 0, 0)}
TRUTHS = {
    2021: "y-kawagu/dcase2021_task2_evaluator",
    2022: "Kota-Dohi/dcase2022_evaluator",
    **{year: f"nttcslab/dcase{year}_task2_evaluator" for year in (2023, 2024, 2025, 2026)},
}


@pytest.mark.parametrize("year", RECORDS)
def test_every_record_and_file_name(year: int) -> None:
    edition = load_edition(f"dcase{year}")
    assert list(edition.downloads) == ["dev", "train", "eval"]
    for index, part in enumerate(edition.downloads):
        archive = edition.downloads[part]
        form = FORMS.get(year, LATER_FORMS)[index]
        expected = {m: EXCEPTIONS.get((year, part, m), form.format(m)) for m in MACHINES[year][min(index, 1)]}
        assert dict(archive.zips) == expected
        assert archive.record == RECORDS[year][index]
        assert len(archive.md5) == KNOWN_MD5S.get(year, (0, 0, 0))[index]
        assert all(len(digest) == 32 and machine in expected for machine, digest in archive.md5.items())
    assert edition.downloads["train"].supersedes == (11183284 if year == 2024 else None)


def test_the_list_above_is_of_all_editions() -> None:
    assert [f"dcase{year}" for year in RECORDS] == [name for name in edition_names() if name != "demo"]
    assert len({record for records in RECORDS.values() for record in records}) == 21


@pytest.mark.parametrize("year", RECORDS)
def test_where_the_truth_comes_from(year: int) -> None:
    truth = load_edition(f"dcase{year}").truth
    if year == 2020:
        assert (truth.record, truth.files) == (3951620, ("eval_data_list.csv",))
    else:
        assert truth.repository == TRUTHS[year]
        assert truth.folders[0] == "ground_truth_data"
    assert truth.commit == ("f6a94a2b5e614a9626c9d1ccff6df0705e6aaa75" if year == 2026 else "")


# --- the API ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Server]:
    yield from running()


@pytest.fixture
def line(server: Server) -> Line:
    return Line(server.url, QUICK)


def test_sizes_checksums_and_licence_come_from_the_record(server: Server, line: Line) -> None:
    server.records[6355122]["dev_fan.zip"] = b"sound"
    record = read_record(6355122, line)
    assert record.licence == "cc-by-4.0"
    url = "https://zenodo.org/records/6355122/files/dev_fan.zip?download=1"
    assert record.file("dev_fan.zip") == RemoteFile(url, 5, hashlib.md5(b"sound").hexdigest())


ENTRY = {"key": "a.zip", "size": 5, "checksum": "md5:ABC"}
FILE = RemoteFile(file_url(7, "a.zip"), 5, "abc")


@pytest.mark.parametrize(
    ("answer", "licence"),
    [
        ({"files": [ENTRY], "metadata": {"license": {"id": "cc-by-nc-sa-4.0"}}}, "cc-by-nc-sa-4.0"),
        ({"files": [ENTRY], "metadata": {"license": "CC-BY-4.0"}}, "CC-BY-4.0"),
        ({"files": [ENTRY], "metadata": {}}, ""),
        ({"files": [ENTRY]}, ""),
        ({"files": {"entries": [ENTRY]}, "metadata": {"rights": [{"id": "cc-by-4.0"}]}}, "cc-by-4.0"),
        ({"files": {"entries": {"a.zip": ENTRY}}, "metadata": {"rights": []}}, ""),
    ],
)
def test_the_forms_of_the_answer(server: Server, line: Line, answer: dict, licence: str) -> None:
    server.pages["/api/records/7"] = json.dumps(answer).encode()
    server.api = False
    record = read_record(7, line)
    assert (record.files, record.licence) == ({"a.zip": FILE}, licence)


def listing(**changed: object) -> dict[str, object]:
    return {"files": [{"key": "a.zip", "size": 7, "checksum": "md5:0"} | changed]}


@pytest.mark.parametrize(
    "answer",
    [
        *([], {}, {"files": 3}, {"files": [{"key": "a"}]}, {"files": [None]}, "x"),
        *(listing(size=size) for size in ("many", "12", None, True, -1, 1.5, 1e999, [])),
        *(listing(key=key) for key in (5, None, "", [], {})),
        *(listing(checksum=checksum) for checksum in (5, None, [])),
    ],
)
def test_answers_of_no_known_form(server: Server, line: Line, answer: object) -> None:
    server.pages["/api/records/7"] = json.dumps(answer).encode()
    server.api = False
    with pytest.raises(WorkError, match="about record 7 is not of the known form"):
        read_record(7, line)


def test_another_checksum_than_md5_is_not_taken_for_one(server: Server, line: Line) -> None:
    server.pages["/api/records/7"] = json.dumps({"files": [{**ENTRY, "checksum": "sha1:abc"}]}).encode()
    server.api = False
    assert read_record(7, line).file("a.zip").md5 == ""


def test_the_known_md5_is_a_second_check() -> None:
    record = Record(7, {"a.zip": FILE, "b.zip": RemoteFile("u", 5)})
    assert record.file("a.zip", "abc").md5 == "abc"
    assert record.file("b.zip", "abc").md5 == "abc"
    with pytest.raises(WorkError, match="has the md5 abc in record 7, but abd is known"):
        record.file("a.zip", "abd")


def test_a_name_that_the_record_lacks(server: Server, line: Line) -> None:
    server.records[7]["dev_fan_r2.zip"] = b"x"
    with pytest.raises(WorkError, match=r"has no file dev_fan\.zip\. Did you mean 'dev_fan_r2\.zip'"):
        read_record(7, line).file("dev_fan.zip")


def test_a_record_that_is_not_there(server: Server) -> None:
    assert read_record(7, Line(server.url, QUICK)).files is None  # a mirror of plain files has no API
    assert Record(7).file("a.zip", "abc") == RemoteFile(FILE.url, None, "abc")


def test_a_busy_api_is_waited_for(server: Server, line: Line) -> None:
    server.records[7]["a.zip"] = b"x"
    server.faults["record 7"] = [
        Fault(status=429, headers={"Retry-After": "0.1"}, body=b"no"),
        Fault(status=503, body=b"<html>no</html>"),
        Fault(body=b"<html>soon</html>", headers={"Content-Type": "text/html"}),
    ]
    patient = Line(server.url, Patience(tries=4, first_wait=0.01))
    assert read_record(7, patient).file("a.zip").size == 1


def test_without_a_mirror_a_missing_record_is_an_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asdcli.download.records.HOST", server.url)
    with pytest.raises(NotThereError):
        read_record(7, Line("", QUICK))
