"""Whole editions from a server that misbehaves: after every trouble the same call ends with exactly the right tree."""

from __future__ import annotations

import io
import itertools
import random
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import tree_bytes
from server import Fault, Server, make_zip, official_files, running, stock

from asdcli.challenge.editions.edition import Edition, edition_names, load_edition
from asdcli.download.records import record_page
from asdcli.download.transport import Line, Patience
from asdcli.errors import UserError, WorkError
from asdcli.stages.download import Job, pieces_of
from asdcli.ui import Ui
from asdcli.workspace.places import Workspace

QUICK = Patience(
    tries=4, tries_at_first=2, first_wait=0.01, longest_wait=0.05, longest_request=5, connect=600, stall=600
)
EAGER = replace(QUICK, stall=0.4, tries=10**9, tries_at_first=10**9)  # on a busy machine the honest line may stall too
EDITIONS = [name for name in edition_names() if name != "demo"]
FORMS = ("dcase2020", "dcase2021", "dcase2026")  # whose trees have the forms of all
EVERY_FORM = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FORMS else pytest.mark.slow) for name in EDITIONS]
)
PARTS = ("dev", "train", "eval")


class Told(Ui):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    warn = say


@pytest.fixture
def server() -> Iterator[Server]:
    yield from running()


@pytest.fixture
def job(server: Server, tmp_path: Path) -> Callable[..., Job]:
    """A job of an edition, as a new process would make it."""

    def make(name: str = "dcase2023", **options: object) -> Job:
        line = Line(str(options.pop("mirror", server.url)), options.pop("patience", QUICK))
        return Job(Workspace(tmp_path / "root"), Told(), load_edition(name), line, **options)

    return make


def found(folder: Path) -> dict[str, bytes]:
    """The tree of an edition, without our own note of what was unpacked."""
    files = tree_bytes(folder)
    files.pop("downloaded.json", None)
    return files


def fan_zip(server: Server) -> str:
    """One small machine on the server; the name of its zip."""
    stock(server, load_edition("dcase2023"), ["dev"], ["fan"], most=None)
    return "dev_fan.zip"


# --- every edition --------------------------------------------------------------------------------------------------


@EVERY_FORM
def test_every_edition(server: Server, job: Callable[..., Job], name: str) -> None:
    """All records and zips of an edition: the right requests, and the official tree."""
    edition = load_edition(name)
    tree = stock(server, edition, PARTS)
    server.records[edition.downloads["dev"].record]["other.zip"] = b"never asked for"
    work = job(name)
    work.edition = without_md5(edition)  # the clips here are not the organisers'
    work.run(PARTS, None)
    assert found(work.tree.folder) == tree
    asked = [path for path, _ in server.log if not path.startswith("/api/")]
    expected = [
        f"/records/{archive.record}/files/{zip}"
        for archive in edition.downloads.values()
        for zip in archive.zips.values()
    ]
    assert sorted(asked) == sorted(expected)
    said = "\n".join(work.ui.lines)
    assert all(f"licence: cc-by-4.0 ({record_page(a.record)})" in said for a in edition.downloads.values())
    before = len(server.log)
    work.run(PARTS, None)
    assert len(server.log) == before
    assert "dev: 6 of 6" in work.ui.lines[-3] or "dev: 7 of 7 machines are here already." in work.ui.lines


def without_md5(edition: Edition) -> Edition:
    return replace(edition, downloads={part: replace(a, md5={}) for part, a in edition.downloads.items()})


@EVERY_FORM
def test_verify(server: Server, job: Callable[..., Job], name: str) -> None:
    """A full tree is complete; a missing clip, table or machine is named."""
    edition = load_edition(name)
    machines = {edition.machines["dev"][0], edition.machines["eval"][0]}
    stock(server, edition, PARTS, machines, most=None)
    work = job(name)
    work.edition = without_md5(edition)
    here = list(machines)
    work.run(PARTS, here)
    assert [found for found in work.verify(PARTS, here) if found.problems] == []
    raw = work.tree.raw("train") / edition.machines["eval"][0]
    victims = [next((raw / "train").iterdir()), next(path for path in raw.rglob("*test*/*.wav"))]
    for victim in victims:
        victim.unlink()
    problems = {
        check.part: "; ".join(check.problems) for check in work.verify(PARTS, here) if check.machine == raw.name
    }
    assert "of" in problems["eval"] or "missing or cut" in problems["eval"]
    assert "of" in problems["train"] or "missing or cut" in problems["train"]
    others = [check for check in work.verify(PARTS, None) if check.machine not in machines]
    assert all("no folder" in check.problems[0] for check in others)
    work.run(PARTS, here)
    assert [found for found in work.verify(PARTS, here) if found.problems] == []


def test_a_tree_that_was_there_before_is_not_fetched(server: Server, job: Callable[..., Job]) -> None:
    edition, work = load_edition("dcase2023"), job()
    for path, data in official_files(edition, "dev", "fan").items():
        place = work.tree.raw("dev") / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    work.run(["dev"], ["fan"])
    assert not server.log
    (work.tree.raw("dev") / "fan" / "attributes_00.csv").unlink()
    assert work.verify(["dev"], ["fan"])[0].problems == ("no attributes_00.csv",)
    (work.tree.raw("dev") / "fan" / "train" / "mine.wav").write_bytes(b"x")
    assert "1 files with names of no clip" in work.verify(["dev"], ["fan"])[0].problems


def test_linked_trees_are_left_alone(server: Server, job: Callable[..., Job], tmp_path: Path) -> None:
    work = job()
    (tmp_path / "elsewhere").mkdir()
    work.tree.raw("dev").parent.mkdir(parents=True)
    work.tree.raw("dev").symlink_to(tmp_path / "elsewhere")
    work.run(["dev"], None)
    assert not server.log
    assert "linked to" in work.ui.lines[0]
    assert not list((tmp_path / "elsewhere").iterdir())


# --- troubles -------------------------------------------------------------------------------------------------------


def drops(server: Server, zip: str) -> None:
    server.faults[zip] = [Fault(cut=random.Random(i).randrange(40_000)) for i in range(12)]


def no_ranges(server: Server, zip: str) -> None:
    server.always[zip] = Fault(ranges=False)
    server.faults[zip] = [Fault(cut=80_000, ranges=False), Fault(cut=20_000, ranges=False)]


def busy(server: Server, zip: str) -> None:
    server.faults["record 7882613"] = [Fault(status=429, headers={"Retry-After": "0.1"}, body=b"no")]
    server.faults[zip] = [Fault(status=s, headers={"Retry-After": "0.1"}, body=b"<html>") for s in (429, 503, 403)]


def stalls(server: Server, zip: str) -> None:
    server.faults[zip] = [Fault(cut=30_000, stall=True)]


def pages(server: Server, zip: str) -> None:
    page = {"body": b"<html>maintenance</html>", "headers": {"Content-Type": "text/html"}}
    server.faults[zip] = [Fault(**page), Fault(cut=30_000), Fault(**page)]


def corrupts(server: Server, zip: str) -> None:
    data = bytearray(server.records[7882613][zip])
    data[50_000] ^= 1
    server.faults[zip] = [Fault(body=bytes(data))]


@pytest.mark.parametrize("trouble", [drops, no_ranges, busy, stalls, pages, corrupts])
def test_troubles_that_one_call_survives(
    server: Server, job: Callable[..., Job], trouble: Callable[[Server, str], None]
) -> None:
    zip = fan_zip(server)
    tree = stock(server, load_edition("dcase2023"), ["dev"], ["fan", "valve"], most=None)
    trouble(server, zip)
    work = job(patience=EAGER if trouble is stalls else QUICK)
    work.edition = without_md5(work.edition)
    work.run(["dev"], ["fan", "valve"])
    assert found(work.tree.folder) == tree
    assert server.sat_out == 0


def hostile(name: str, link: bool = False, bomb: bool = False) -> bytes:
    buffer = io.BytesIO(make_zip({"fan/train/section_00_source_train_normal_0000_.wav": b"x"}))
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = (stat.S_IFLNK | 0o777) << 16 if link else 0
        archive.writestr(info, bytes(30_000_000) if bomb else b"/etc/passwd", zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


BAD_ZIPS = {
    "outside": hostile("../../../../evil.wav"),
    "absolute": hostile("/tmp/evil.wav"),
    "link": hostile("fan/test", link=True),
    "bomb": hostile("fan/train/a.wav", bomb=True),
    "truncated": hostile("fan/train/a.wav")[:-30],
    "no zip": b"PK\3\4 is how it begins",
    "empty": b"",
}


@pytest.mark.parametrize("kind", BAD_ZIPS)
def test_a_bad_zip_touches_nothing_and_the_right_one_later_works(
    server: Server, job: Callable[..., Job], tmp_path: Path, kind: str
) -> None:
    """The record vouches for the zip with size and md5; what it holds is refused all the same."""
    server.records[7882613]["dev_fan.zip"] = BAD_ZIPS[kind]
    work = job()
    work.edition = without_md5(work.edition)
    with pytest.raises(WorkError, match=r"dev_fan\.zip") as caught:
        work.run(["dev"], ["fan"])
    assert "https://zenodo.org/records/7882613/files/dev_fan.zip" in caught.value.hint
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"] == []
    tree = stock(server, load_edition("dcase2023"), ["dev"], ["fan"])
    work = job()
    work.edition = without_md5(work.edition)
    work.run(["dev"], ["fan"])
    assert found(work.tree.folder) == tree


def test_one_bad_file_does_not_stop_the_others(server: Server, job: Callable[..., Job]) -> None:
    tree = stock(server, load_edition("dcase2024"), ["dev"])
    del server.records[10902294]["dev_gearbox.zip"]
    server.always["dev_fan.zip"] = Fault(status=404, body=b"no")
    work = job("dcase2024")
    with pytest.raises(WorkError, match=r"(?s)has no file dev_gearbox\.zip.*404|404.*has no file") as caught:
        work.run(["dev"], None)
    kept = {name: data for name, data in tree.items() if "/fan/" not in name and "/gearbox/" not in name}
    assert found(work.tree.folder) == kept
    assert [line for line in caught.value.hint.splitlines() if line.startswith("  ")] == [
        f"  https://zenodo.org/records/10902294/files/{name}?download=1" for name in ("dev_fan.zip", "dev_gearbox.zip")
    ]


def test_a_record_that_contradicts_the_known_md5(server: Server, job: Callable[..., Job]) -> None:
    fan_zip(server)
    with pytest.raises(WorkError, match="9348591e96fb0ad499a1e33b082562fc is known for it"):
        job().run(["dev"], ["fan"])


def test_a_file_that_changed_between_two_runs(server: Server, job: Callable[..., Job]) -> None:
    zip = "dev_fan.zip"
    stock(server, load_edition("dcase2024"), ["dev"], ["fan"], most=20)
    server.always[zip] = Fault(cut=2000, ranges=False)
    with pytest.raises(WorkError, match="line was cut"):
        job("dcase2024").run(["dev"], ["fan"])
    assert job("dcase2024").state(pieces_of(load_edition("dcase2024"), ["dev"], ["fan"])[0]) == "partly"
    server.always.clear()
    tree = stock(server, load_edition("dcase2024"), ["dev"], ["fan"], most=25)
    work = job("dcase2024")
    work.run(["dev"], ["fan"])
    assert found(work.tree.folder) == tree


# --- without the host -------------------------------------------------------------------------------------------------


def test_offline_the_message_names_files_and_place(job: Callable[..., Job]) -> None:
    work = job("dcase2024", mirror="http://127.0.0.1:9")
    with pytest.raises(WorkError, match="connection refused") as caught:
        work.run(["dev", "train", "truth"], ["RoboticArm", "fan"])
    assert f"put these into {work.tree.zips}" in caught.value.hint
    assert "https://zenodo.org/records/11259435/files/eval_data_RoboticArm_train_r2.zip" in caught.value.hint
    assert "https://github.com/nttcslab/dcase2024_task2_evaluator" in caught.value.hint
    assert not work.tree.folder.exists() or not found(work.tree.folder)


@pytest.mark.parametrize("place", ["zips option", "zips beside the tree"])
def test_zips_fetched_by_hand(server: Server, job: Callable[..., Job], tmp_path: Path, place: str) -> None:
    tree = stock(server, load_edition("dcase2024"), ["train"], ["RoboticArm"])
    name, data = next(iter(server.records[11259435].items()))
    work = job("dcase2024", mirror="http://127.0.0.1:9", zips=tmp_path / "mine" if place == "zips option" else None)
    folder = tmp_path / "mine" if place == "zips option" else work.tree.zips
    folder.mkdir(parents=True)
    (folder / name).write_bytes(data)
    work.run(["train"], ["RoboticArm"])
    assert (folder / name).exists()
    files = {key: value for key, value in found(work.tree.folder).items() if not key.startswith("zips/")}
    assert files == tree
    assert any("no md5 is known" in line for line in work.ui.lines)


def test_some_zips_fetched_by_hand(server: Server, job: Callable[..., Job]) -> None:
    """Without the host, the zips that are here are used, and the message names the others."""
    edition = load_edition("dcase2024")
    tree = stock(server, edition, ["dev"], ["fan"])
    work = job("dcase2024", mirror="http://127.0.0.1:9")
    work.tree.zips.mkdir(parents=True)
    (work.tree.zips / "dev_fan.zip").write_bytes(server.records[10902294]["dev_fan.zip"])
    with pytest.raises(WorkError, match="connection refused") as caught:
        work.run(["dev"], ["fan", "valve"])
    assert {key: value for key, value in found(work.tree.folder).items() if not key.startswith("zips/")} == tree
    assert "dev_valve.zip" in caught.value.hint
    assert "dev_fan.zip" not in caught.value.hint


@pytest.mark.parametrize("keep", [True, False])
def test_killed_between_tree_and_zip(server: Server, job: Callable[..., Job], keep: bool) -> None:
    """A zip whose contents are in the tree already is put away by the next call."""
    tree = stock(server, load_edition("dcase2024"), ["dev"], ["fan"])
    job("dcase2024").run(["dev"], ["fan"])
    work = job("dcase2024", keep_zips=keep)
    work.tree.work.mkdir()
    zip = server.records[10902294]["dev_fan.zip"]
    for name in ("dev_fan.zip", "dev_fan.zip.part", "dev_fan.zip.part.json", "truth.unpacking/truth/x.csv"):
        (work.tree.work / name).parent.mkdir(exist_ok=True, parents=True)
        (work.tree.work / name).write_bytes(zip)
    work.run(["dev"], ["fan"])
    assert found(work.tree.folder) == {**tree, **({"zips/dev_fan.zip": zip} if keep else {})}


def test_a_half_zip_by_hand_is_refused(server: Server, job: Callable[..., Job], tmp_path: Path) -> None:
    stock(server, load_edition("dcase2024"), ["dev"], ["fan"])
    (tmp_path / "dev_fan.zip").write_bytes(server.records[10902294]["dev_fan.zip"][:-5])
    with pytest.raises(WorkError, match=r"dev_fan\.zip is not the file of record 10902294: \d+ bytes instead of \d+"):
        job("dcase2024", zips=tmp_path).run(["dev"], ["fan"])


def test_a_mirror_of_plain_files(server: Server, job: Callable[..., Job]) -> None:
    """`wget -x` of the zips, served by any web server: no API, so no sizes and no new checksums."""
    tree = stock(server, load_edition("dcase2024"), ["dev"], ["fan"])
    server.api = False
    work = job("dcase2024")
    work.run(["dev"], ["fan"])
    assert found(work.tree.folder) == tree


# --- options ----------------------------------------------------------------------------------------------------------


def test_keep_zips(server: Server, job: Callable[..., Job]) -> None:
    tree = stock(server, load_edition("dcase2024"), ["dev"], ["fan"])
    work = job("dcase2024", keep_zips=True)
    work.run(["dev"], ["fan"])
    zip = server.records[10902294]["dev_fan.zip"]
    assert found(work.tree.folder) == {**tree, "zips/dev_fan.zip": zip}
    before = len(server.asked("dev_fan.zip"))
    import shutil

    shutil.rmtree(work.tree.raw("dev"))
    job("dcase2024").run(["dev"], ["fan"])
    assert len(server.asked("dev_fan.zip")) == before
    assert found(work.tree.folder) == {**tree, "zips/dev_fan.zip": zip}


def test_machines(job: Callable[..., Job], server: Server) -> None:
    edition = load_edition("dcase2023")
    assert [(p.part, p.zip) for p in pieces_of(edition, PARTS, ["fan", "shaker"])] == [
        ("dev", "dev_fan.zip"),
        ("train", "eval_data_shaker_train.zip"),
        ("eval", "eval_data_shaker_test.zip"),
    ]
    with pytest.raises(UserError, match=r"Unknown machine of dcase2023 .*'shakr'\. Did you mean 'shaker'"):
        job().run(PARTS, ["shakr"])


def test_two_files_at_once(server: Server, job: Callable[..., Job]) -> None:
    stock(server, load_edition("dcase2024"), ["dev"])
    flying, most = set(), []

    class Watching(Told):
        def transfers(self, title, size):  # type: ignore[no-untyped-def]
            from contextlib import nullcontext

            return nullcontext(Bar)

    class Bar:
        def __init__(self, name: str, size: float | None) -> None:
            self.name = name
            flying.add(name)
            most.append(len(flying))

        def show(self, done: float, figures: str = "") -> None: ...

        def close(self) -> None:
            flying.discard(self.name)

    both, turn = threading.Barrier(2, timeout=600), itertools.count()

    def first_two_together(name: str) -> None:
        if name.endswith(".zip") and next(turn) < 2:
            both.wait()

    server.first = first_two_together
    work = job("dcase2024")
    work.ui = Watching()
    work.run(["dev"], None)
    assert max(most) == 2
    assert not flying


def test_no_room_is_known_before_anything_is_fetched(
    server: Server, job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(server, load_edition("dcase2024"), ["dev"])
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr("asdcli.stages.download.shutil.disk_usage", lambda path: usage)
    with pytest.raises(WorkError, match=r"dcase2024 needs about 0\.0 GB; .* has 0\.0 GB free"):
        job("dcase2024").run(["dev"], None)
    assert all(path.startswith("/api/") for path, _ in server.log)


def test_the_list_without_and_with_the_host(server: Server, job: Callable[..., Job]) -> None:
    stock(server, load_edition("dcase2024"), PARTS)
    offline = job("dcase2024", mirror="http://127.0.0.1:9").listing((*PARTS, "truth"), None)
    assert len(offline) == 7 + 9 + 9 + 1
    assert {row.size for row in offline} == {None}
    assert {row.state for row in offline} == {"missing"}
    job("dcase2024").run(["dev"], ["fan"])
    online = job("dcase2024").listing(["dev"], None)
    assert [row.state for row in online] == ["here" if row.machine == "fan" else "missing" for row in online]
    assert all(row.size == len(server.records[10902294][row.file]) for row in online)
