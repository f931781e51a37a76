"""A record API with its files on 127.0.0.1, which misbehaves on demand, and zips as the organisers make them."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from asdcli.challenge.editions.counts import expected
from asdcli.challenge.editions.edition import Edition


@dataclass
class Fault:
    """How one answer differs from a good one.

    cut: bytes of the body after which the connection closes, with `stall` only drips, with `hold` is silent until that
    is set. body: another one, under the length of its own. same_length: the body is announced with the length of the
    right one. ranges: whether they are answered. conditions: whether If-Range is looked at. chunked: the length of the
    body is not announced.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    stall: bool = False
    hold: threading.Event | None = None
    body: bytes | None = None
    same_length: bool = False
    ranges: bool = True
    conditions: bool = True
    chunked: bool = False


class Server:
    """`records` hold files by number and name; `pages` are any other paths. Faults wait in a queue for each name.

    first: called with the name before each answer. sent: bytes of bodies so far. sat_out: stalls whose client stayed.
    """

    def __init__(self) -> None:
        self.records: dict[int, dict[str, bytes]] = defaultdict(dict)
        self.pages: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.always: dict[str, Fault] = {}
        self.log: list[tuple[str, dict[str, str]]] = []
        self.licence = "cc-by-4.0"
        self.api = True
        self.etags = True
        self.dates = True
        self.bytes_per_second = 0.0
        self.first: Callable[[str], object] = lambda name: None
        self.sent = 0
        self.sat_out = 0
        handler = type("Handler", (_Handler,), {"shop": self})
        self._http = _Threads(("127.0.0.1", 0), handler)
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def asked(self, name: str) -> list[dict[str, str]]:
        """Headers of the requests for a file, in their order."""
        return [headers for path, headers in self.log if path.endswith(f"/{name}")]

    def find(self, path: str) -> tuple[str, bytes | None]:
        """The name that faults go by, and the right body."""
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "records"] and self.api:
            number = int(parts[2])
            return f"record {number}", self.describe(number) if number in self.records else None
        if len(parts) == 4 and parts[0] == "records" and parts[2] == "files":
            return parts[3], self.records.get(int(parts[1]), {}).get(parts[3])
        return parts[-1], self.pages.get(path)

    def describe(self, number: int) -> bytes:
        """The answer of the record API, in its form of 2024 and later."""
        files = [
            {
                "key": name,
                "size": len(data),
                "checksum": f"md5:{hashlib.md5(data).hexdigest()}",
                "links": {"self": f"https://zenodo.org/api/records/{number}/files/{name}/content"},
            }
            for name, data in self.records[number].items()
        ]
        return json.dumps({"id": number, "metadata": {"license": {"id": self.licence}}, "files": files}).encode()


class _Threads(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that are killed break their connections; that is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    shop: Server

    def log_message(self, *arguments: object) -> None: ...

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.shop.log.append((path, dict(self.headers)))
        name, body = self.shop.find(path)
        self.shop.first(name)
        waiting = self.shop.faults[name]
        fault = waiting.pop(0) if waiting else self.shop.always.get(name, Fault())
        with suppress(ConnectionError):
            self._answer(name, body, fault)

    def _answer(self, name: str, body: bytes | None, fault: Fault) -> None:
        if body is None and fault.body is None:
            self._send(404, {"Content-Type": "text/html"}, b"<html>not found</html>", fault)
            return
        length = len(body or b"")
        body = fault.body if fault.body is not None else body or b""
        tag = f'"md5:{hashlib.md5(body).hexdigest()}"'
        headers = {"Content-Type": "application/octet-stream"}
        headers |= {"ETag": tag} if self.shop.etags else {}
        headers |= {"Last-Modified": _date(body)} if self.shop.dates else {}
        headers |= fault.headers
        status = fault.status or 200
        if fault.same_length:
            headers["Content-Length"] = str(length)
        wanted = self.headers.get("Range", "")
        same = self.headers.get("If-Range") in (None, tag, _date(body)) or not fault.conditions
        if wanted and fault.ranges and same and status == 200:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self._send(416, {"Content-Range": f"bytes */{len(body)}"}, b"", fault)
                return
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            status, body = 206, body[start:]
        self._send(status, headers, body, fault)

    def _send(self, status: int, headers: Mapping[str, str], body: bytes, fault: Fault) -> None:
        self.send_response(status)
        length = {"Transfer-Encoding": "chunked"} if fault.chunked else {"Content-Length": str(len(body))}
        for key, value in {**length, **headers, **fault.headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if fault.chunked:
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:9999], body[9999:], b""))
        rate = self.shop.bytes_per_second
        step = max(1, int(rate / 50)) if rate else len(body) or 1
        for start in range(0, len(body[: fault.cut]), step):
            piece = body[: fault.cut][start : start + step]
            self.wfile.write(piece)
            self.shop.sent += len(piece)
            if rate:
                time.sleep(step / rate)
        if fault.stall:
            for start in range(fault.cut or 0, len(body)):  # at most 20 bytes a second
                self.wfile.write(body[start : start + 1])
                time.sleep(0.05)
            self.shop.sat_out += 1
        if fault.hold is not None:
            fault.hold.wait()
        if fault.cut is not None or fault.same_length:
            self.close_connection = True


def _date(body: bytes) -> str:
    """A date of last change that differs with the contents."""
    day = 1 + int(hashlib.md5(body).hexdigest(), 16) % 28
    return f"Mon, {day:02d} Jan 2024 00:00:00 GMT"


# --- archives -------------------------------------------------------------------------------------------------------


def make_zip(files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), data, method)
    return buffer.getvalue()


def official_files(edition: Edition, part: str, machine: str, most: int | None = None) -> dict[str, bytes]:
    """Files of one machine as its zip holds them (`fan/train/...`), with the numbers that the edition has.

    most: at most so many clips of each kind. The clips are a few bytes that are different for each: nobody listens.
    """
    sections = edition.sections["dev" if part == "dev" else "eval"][machine]
    files = {}
    for section in sections:
        start = 0
        for (split, domain, label), number in expected(edition, part, machine, section).items():
            count = 12 if number is None else number
            domains = ("source", "target") if edition.year == 2021 and not domain else (domain,)
            for index in range(start, start + min(count, most or count)):
                for word in domains:
                    folder, name = _clip_name(edition, part, split, word, label, section, index)
                    files[f"{machine}/{folder}/{name}"] = f"{edition.name} {part} {machine} {name}".encode() * 3
            start += count if part == "eval" else 0
        if "supplemental" in edition.downloads[part].tree:
            for index in range(min(100, most or 100)):
                name = f"section_{section}_machine_source_{index:04d}_noAttribute.wav"
                files[f"{machine}/supplemental/{name}"] = name.encode()
        if edition.attributes and part != "eval":
            files[f"{machine}/attributes_{section}.csv"] = b"file_name,d1p,d1v\n"
    return files


def _clip_name(
    edition: Edition, part: str, split: str, domain: str, label: str, section: str, index: int
) -> tuple[str, str]:
    label = label or "normal"
    if edition.year == 2020:
        head = "" if part == "eval" else f"{label}_"
        return split, f"{head}id_{section}_{index:08d}.wav"
    folder = f"{domain or 'source'}_test" if edition.year == 2021 and split == "test" else split
    if part == "eval":
        return folder, f"section_{section}_{f'{domain}_test_' if edition.year == 2021 else ''}{index:04d}.wav"
    return folder, f"section_{section}_{domain or 'source'}_{split}_{label}_{index:04d}_a_1.wav"


def stock(
    server: Server, edition: Edition, parts: Iterable[str], machines: Iterable[str] | None = None, most: int | None = 3
) -> dict[str, bytes]:
    """Put an edition's zips on the server; returns the tree that they make, below data/<edition>."""
    tree = {}
    for part in parts:
        archive = edition.downloads[part]
        for machine, name in archive.zips.items():
            if machines is None or machine in machines:
                files = official_files(edition, part, machine, most)
                server.records[archive.record][name] = make_zip(files)
                raw = "dev_data/raw" if part == "dev" else "eval_data/raw"
                tree |= {f"{raw}/{path}": data for path, data in files.items()}
    return tree


def running() -> Iterator[Server]:
    """For a fixture."""
    server = Server()
    yield server
    server.close()
