"""Single files from a server that drops, stalls, lies and changes its mind."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from server import Fault, Server, running

from asdcli.download import transport
from asdcli.download.part import Wanted
from asdcli.download.transport import Line, NotThereError, Patience, StoppedError, UnreachableError
from asdcli.errors import UserError, WorkError

DATA = random.Random(0).randbytes(400_000)
OTHER = random.Random(1).randbytes(400_000)
QUICK = Patience(
    tries=5, tries_at_first=2, first_wait=0.01, longest_wait=0.05, longest_request=5, connect=600, stall=600
)
EAGER = replace(QUICK, stall=0.4, tries=10**9, tries_at_first=10**9)  # on a busy machine the honest line may stall too
PAGE = b"<!doctype html><html><body>We will be back soon.</body></html>"


@pytest.fixture
def server() -> Iterator[Server]:
    yield from running()


@pytest.fixture
def line(server: Server) -> Line:
    return Line(server.url, QUICK)


def wanted(folder: Path, data: bytes = DATA, **known: object) -> Wanted:
    facts = {"size": len(data), "checksums": {"md5": hashlib.md5(data).hexdigest()}, **known}
    return Wanted("https://example.org/some/file.zip?download=1", folder / "file.zip", **facts)


def put(server: Server, data: bytes = DATA) -> None:
    server.pages["/some/file.zip"] = data


def right(folder: Path, data: bytes = DATA) -> bool:
    """The file is there, and nothing else is."""
    return [path.name for path in folder.iterdir()] == ["file.zip"] and (folder / "file.zip").read_bytes() == data


def test_a_good_server(server: Server, line: Line, tmp_path: Path) -> None:
    put(server)
    said = []
    line.fetch(wanted(tmp_path), lambda done, why: said.append((done, why)))
    assert right(tmp_path)
    assert said[-1] == (len(DATA), "")
    assert server.asked("file.zip")[0]["User-Agent"].startswith("asdcli/")
    line.fetch(wanted(tmp_path))
    assert len(server.log) == 1  # what is there and right is not fetched again


@pytest.mark.parametrize("validators", ["etags", "dates"])
def test_many_drops_cost_nothing_twice(server: Server, line: Line, tmp_path: Path, validators: str) -> None:
    put(server)
    server.etags, server.dates = validators == "etags", validators == "dates"
    server.faults["file.zip"] = [Fault(cut=15_000) for _ in range(25)]
    line.fetch(wanted(tmp_path))
    assert right(tmp_path)
    starts = [int(headers["Range"][6:-1]) for headers in server.asked("file.zip")[1:]]
    assert starts == [15_000 * (index + 1) for index in range(25)]
    assert all(headers["If-Range"] for headers in server.asked("file.zip")[1:])


def test_a_new_process_goes_on_where_the_last_one_was(server: Server, tmp_path: Path) -> None:
    put(server)
    server.faults["file.zip"] = [Fault(cut=250_000)]
    server.always["file.zip"] = Fault(cut=0)
    with pytest.raises(UnreachableError, match="the line was cut after 250000 bytes"):
        Line(server.url, QUICK).fetch(wanted(tmp_path))
    assert not (tmp_path / "file.zip").exists()
    server.always.clear()
    Line(server.url, QUICK).fetch(wanted(tmp_path))
    assert right(tmp_path)
    assert server.asked("file.zip")[-1]["Range"] == "bytes=250000-"


def test_ranges_ignored(server: Server, line: Line, tmp_path: Path) -> None:
    put(server)
    cuts = (100_000, 50_000, 390_000, 10_000)
    server.faults["file.zip"] = [Fault(cut=cut, ranges=False) for cut in cuts]
    server.always["file.zip"] = Fault(ranges=False)
    line.fetch(wanted(tmp_path))
    assert right(tmp_path)


def test_without_a_validator_nothing_is_joined(server: Server, line: Line, tmp_path: Path) -> None:
    put(server)
    server.etags = server.dates = False
    server.faults["file.zip"] = [Fault(cut=100_000)]
    line.fetch(wanted(tmp_path))
    assert right(tmp_path)
    assert all("Range" not in headers for headers in server.asked("file.zip"))


@pytest.mark.parametrize("conditions", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_a_file_changed_between_tries_is_never_spliced(
    server: Server, line: Line, tmp_path: Path, conditions: bool, known: bool
) -> None:
    put(server)
    server.always["file.zip"] = Fault(conditions=conditions)
    server.faults["file.zip"] = [Fault(cut=100_000)]

    def change(done: float, why: str) -> None:
        if done >= 100_000:
            put(server, OTHER)

    facts = {} if known else {"checksums": {}, "size": None}
    line.fetch(wanted(tmp_path, OTHER, **facts), change)
    assert right(tmp_path, OTHER)


def test_a_part_of_another_version_is_not_used(server: Server, tmp_path: Path) -> None:
    put(server)
    server.always["file.zip"] = Fault(cut=100_000, headers={"ETag": '"same"'})
    with pytest.raises(UnreachableError):
        Line(server.url, Patience(tries=1, first_wait=0.01)).fetch(wanted(tmp_path))
    put(server, OTHER)
    server.always["file.zip"] = Fault(headers={"ETag": '"same"'})
    Line(server.url, QUICK).fetch(wanted(tmp_path, OTHER))
    assert right(tmp_path, OTHER)
    assert "Range" not in server.asked("file.zip")[-1]


def test_a_weak_etag_is_no_validator(server: Server, line: Line, tmp_path: Path) -> None:
    put(server)
    server.dates = False
    server.faults["file.zip"] = [Fault(cut=100_000, headers={"ETag": 'W/"abc"'})]
    line.fetch(wanted(tmp_path))
    assert right(tmp_path)
    assert all("Range" not in headers for headers in server.asked("file.zip"))


def test_a_wrong_checksum_once_is_fetched_again(server: Server, line: Line, tmp_path: Path) -> None:
    put(server)
    server.faults["file.zip"] = [Fault(body=OTHER), Fault(body=DATA[:-1] + b"x")]
    line.fetch(wanted(tmp_path))
    assert right(tmp_path)


def test_a_wrong_checksum_always_is_an_error_and_leaves_no_file(server: Server, line: Line, tmp_path: Path) -> None:
    put(server, OTHER)
    with pytest.raises(WorkError, match=r"came 3 times with the wrong contents: md5 \w+ instead of"):
        line.fetch(wanted(tmp_path))
    assert not (tmp_path / "file.zip").exists()
    assert not (tmp_path / "file.zip.part").exists()
    put(server)
    line.fetch(wanted(tmp_path))
    assert right(tmp_path)


@pytest.mark.parametrize(("status", "seconds"), [(429, "1"), (503, "1"), (403, "0.2"), (500, "0.2")])
def test_retry_after_is_honoured(server: Server, line: Line, tmp_path: Path, status: int, seconds: str) -> None:
    put(server)
    server.faults["file.zip"] = [Fault(status=status, headers={"Retry-After": seconds}, body=b"slow down")]
    said: list[str] = []
    began = time.monotonic()
    line.fetch(wanted(tmp_path), lambda done, why: said.append(why))
    assert time.monotonic() - began >= float(seconds)
    assert right(tmp_path)
    assert f"answers {status}" in said[0]
    assert f"next try in {float(seconds):.0f} s" in said[0]


def test_retry_after_as_a_date_in_the_past_and_as_nonsense(server: Server, line: Line, tmp_path: Path) -> None:
    put(server)
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    given = [past, "soon", "nan", "", "-3"]
    server.faults["file.zip"] = [Fault(status=429, headers={"Retry-After": text}, body=b"no") for text in given[:4]]
    line.fetch(wanted(tmp_path))
    assert right(tmp_path)
    assert transport._seconds(given[4]) == 0
    hour = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    left = transport._seconds(format_datetime(hour, usegmt=True))
    assert (hour - datetime.now(UTC)).total_seconds() <= left <= 3600


def test_a_long_retry_after_ends_the_work_and_says_when(server: Server, line: Line, tmp_path: Path) -> None:
    put(server)
    server.faults["file.zip"] = [Fault(status=429, headers={"Retry-After": "3600"}, body=b"no")]
    with pytest.raises(UnreachableError, match="asks to come back in 60 minutes"):
        line.fetch(wanted(tmp_path))


def test_a_host_that_never_recovers(server: Server, line: Line, tmp_path: Path) -> None:
    put(server)
    server.always["file.zip"] = Fault(status=503, body=b"no")
    with pytest.raises(UnreachableError, match="answers 503"):
        line.fetch(wanted(tmp_path))
    assert len(server.log) == QUICK.tries


def test_a_missing_file_is_not_asked_for_twice(server: Server, line: Line, tmp_path: Path) -> None:
    with pytest.raises(NotThereError, match="404"):
        line.fetch(wanted(tmp_path))
    assert len(server.log) == 1


@pytest.mark.parametrize("after", [0, 100_000])
def test_a_stalled_line_is_left_and_taken_up_again(server: Server, tmp_path: Path, after: int) -> None:
    put(server)
    server.faults["file.zip"] = [Fault(cut=after, stall=True)]  # then 20 bytes a second, less than `slowest`
    Line(server.url, EAGER).fetch(wanted(tmp_path))
    assert right(tmp_path)
    assert len(server.asked("file.zip")) >= 2
    assert server.sat_out == 0


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_web_page_is_never_taken_for_the_file(server: Server, tmp_path: Path, kind: str) -> None:
    put(server)
    server.faults["file.zip"] = [Fault(cut=100_000)]
    server.always["file.zip"] = Fault(body=PAGE, headers={"Content-Type": kind}, ranges=False)
    for unknown in ({}, {"size": None, "checksums": {}}):
        folder = tmp_path / str(len(unknown))
        with pytest.raises(UnreachableError, match=r"web page|instead of 400000"):
            Line(server.url, QUICK).fetch(wanted(folder, **unknown))
        assert not (folder / "file.zip").exists()
    assert (tmp_path / "0" / "file.zip.part").stat().st_size == 100_000  # what came before is not given up for it
    server.always.clear()
    Line(server.url, QUICK).fetch(wanted(tmp_path / "0"))
    assert right(tmp_path / "0")


@pytest.mark.parametrize("length", [100_000, 500_000])
def test_another_length_than_the_record_says(server: Server, line: Line, tmp_path: Path, length: int) -> None:
    put(server)
    body = (DATA + OTHER)[:length]
    server.faults["file.zip"] = [Fault(body=body), Fault(body=body, same_length=True)]
    line.fetch(wanted(tmp_path))
    assert right(tmp_path)


def test_an_answer_of_another_length_does_not_cost_what_came_before(server: Server, tmp_path: Path) -> None:
    put(server)
    server.faults["file.zip"] = [Fault(cut=100_000)]
    server.always["file.zip"] = Fault(
        body=b"Too busy, try later.", headers={"Content-Type": "text/plain"}, ranges=False
    )
    with pytest.raises(UnreachableError, match="offers 20 bytes instead of 400000"):
        Line(server.url, QUICK).fetch(wanted(tmp_path))
    assert (tmp_path / "file.zip.part").stat().st_size == 100_000


@pytest.mark.parametrize("span", ["bytes 0-399999/400000", "bytes 100000-399999/500000", "bytes */400000", ""])
def test_an_answer_that_does_not_go_on_where_we_are(server: Server, line: Line, tmp_path: Path, span: str) -> None:
    put(server)
    server.faults["file.zip"] = [Fault(cut=100_000), Fault(headers={"Content-Range": span})]
    line.fetch(wanted(tmp_path, checksums={}))
    assert right(tmp_path)
    assert ["Range" in headers for headers in server.asked("file.zip")] == [False, True, False]


@pytest.mark.parametrize("known", [True, False])
def test_a_body_without_an_announced_length(
    server: Server, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    put(server)
    facts = {} if known else {"size": None, "checksums": {}}
    server.faults["file.zip"] = [Fault(chunked=True, body=DATA + OTHER), Fault(chunked=True, cut=50_000)]
    server.always["file.zip"] = Fault(chunked=True)
    monkeypatch.setattr("asdcli.download.part.LARGEST_UNLISTED", 500_000)
    said: list[float] = []
    line.fetch(wanted(tmp_path, **facts), lambda done, why: said.append(done))
    assert right(tmp_path)
    assert max(said) <= 500_000


def test_a_body_that_ends_early_and_properly(server: Server, line: Line, tmp_path: Path) -> None:
    put(server)
    server.faults["file.zip"] = [Fault(chunked=True, body=DATA[:100_000], headers={"ETag": '"same"'})]
    server.always["file.zip"] = Fault(headers={"ETag": '"same"'}, conditions=False)
    line.fetch(wanted(tmp_path, checksums={}))
    assert right(tmp_path)


def test_unknown_size_and_checksum(server: Server, line: Line, tmp_path: Path) -> None:
    put(server)
    server.faults["file.zip"] = [Fault(cut=100_000), Fault(cut=1)]
    line.fetch(wanted(tmp_path, size=None, checksums={}))
    assert right(tmp_path)


def test_a_killed_process_leaves_a_whole_part(server: Server, line: Line, tmp_path: Path) -> None:
    """Killed between the last byte and the rename: nothing is fetched again."""
    put(server)
    server.faults["file.zip"] = [Fault(cut=399_999)]
    server.always["file.zip"] = Fault(cut=0)
    with pytest.raises(UnreachableError):
        line.fetch(wanted(tmp_path))
    with (tmp_path / "file.zip.part").open("ab") as file:
        file.write(DATA[-1:])
    asked = len(server.log)
    line.fetch(wanted(tmp_path))
    assert right(tmp_path)
    assert len(server.log) == asked


def test_a_file_is_on_the_disk_before_it_has_its_name(
    server: Server, line: Line, tmp_path: Path, renamed: dict[str, bool]
) -> None:
    put(server)
    line.fetch(wanted(tmp_path))
    assert renamed == {"file.zip.part": True}


@pytest.mark.parametrize("spoiled", [b"", b"{}", b"[]", b'{"of": [400000, {}], "validator": "x"}', b"\x00"])
def test_a_spoiled_note_means_to_start_over(server: Server, line: Line, tmp_path: Path, spoiled: bytes) -> None:
    put(server)
    (tmp_path / "file.zip.part").write_bytes(OTHER[:1000])
    (tmp_path / "file.zip.part.json").write_bytes(spoiled)
    line.fetch(wanted(tmp_path))
    assert right(tmp_path)


def test_no_host_at_all(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="no connection: connection refused"):
        Line("http://127.0.0.1:9", QUICK).fetch(wanted(tmp_path))


def test_an_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not an address"):
        Line("http://:::", QUICK).fetch(wanted(tmp_path))


class Flag(threading.Event):
    """Is raised by another thread as soon as somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        threading.Thread(target=lambda: self.asked.wait() and self.set(), daemon=True).start()

    def wait(self, timeout: float | None = None) -> bool:
        self.asked.set()
        return super().wait(timeout)


def test_the_flag_ends_a_wait_at_once(server: Server, tmp_path: Path) -> None:
    """Otherwise this test would take a day."""
    put(server)
    server.faults["file.zip"] = [Fault(status=503, headers={"Retry-After": "86400"}, body=b"no")]
    with pytest.raises(StoppedError):
        Line(server.url, replace(QUICK, longest_request=86400), stop=Flag()).fetch(wanted(tmp_path))
    assert len(server.asked("file.zip")) == 1


def test_redirects_are_followed_with_their_range(server: Server, line: Line, tmp_path: Path) -> None:
    server.pages["/elsewhere/file.bin"] = DATA
    moved = Fault(status=302, headers={"Location": f"{server.url}/elsewhere/file.bin"}, body=b"")
    server.always["file.zip"] = moved
    server.faults["file.bin"] = [Fault(cut=100_000)]
    line.fetch(wanted(tmp_path))
    assert right(tmp_path)
    assert server.asked("file.bin")[1]["Range"] == "bytes=100000-"


def test_json(server: Server, line: Line) -> None:
    server.pages["/x"] = b'{"a": 1}'
    server.pages["/y"] = b"nonsense"
    assert line.fetch_json("https://example.org/x") == {"a": 1}
    with pytest.raises(WorkError, match="the answer is not JSON"):
        line.fetch_json("https://example.org/y")


def test_drops_after_a_wrong_checksum(server: Server, line: Line, tmp_path: Path) -> None:
    """A file that is fetched a second time may take as many tries as the first time."""
    put(server)
    server.faults["file.zip"] = [Fault(body=OTHER), *(Fault(cut=20_000) for _ in range(15))]
    line.fetch(wanted(tmp_path))
    assert right(tmp_path)


def test_a_server_that_never_stays_the_same_is_given_up(server: Server, line: Line, tmp_path: Path) -> None:
    put(server)
    server.faults["file.zip"] = [
        Fault(cut=1000, headers={"ETag": f'"{index}"'}, conditions=False) for index in range(100)
    ]
    with pytest.raises(UnreachableError):
        line.fetch(wanted(tmp_path))
    assert len(server.log) < 20
