"""Fetching zips from a server on this machine, checksums and all, against curl, which checks nothing.

Both fetch the same files, two at a time, to the same disk; the server sends them with sendfile. Runs alternate and the
median counts, since the disk has moods. `asd` is measured up to the checked zip: curl does not unpack either.

python bench/download.py [files] [megabytes] [rounds] [folder]
"""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from asdcli.download.part import Wanted
from asdcli.download.transport import Line

AT_ONCE = 2


class Handler(BaseHTTPRequestHandler):
    """Sends the files of its folder."""

    protocol_version = "HTTP/1.1"
    folder = Path()

    def log_message(self, *arguments: object) -> None: ...

    def do_GET(self) -> None:
        with (self.folder / self.path.rpartition("/")[2]).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.send_header("Last-Modified", self.date_time_string(1_700_000_000))
            self.end_headers()
            self.wfile.flush()
            self.connection.sendfile(file)


def serve(folder: Path) -> str:
    """A server in a process of its own, so that it does not share our interpreter; returns its address."""
    read, write = os.pipe()
    if os.fork() == 0:
        Handler.folder = folder
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        os.write(write, str(server.server_address[1]).encode())
        parent = os.getppid()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(0)
    return f"http://127.0.0.1:{os.read(read, 10).decode()}"


def main(files: int = 4, megabytes: int = 256, rounds: int = 5, place: str = "") -> None:
    medians = compared(files, megabytes, rounds, place)
    for label, median in medians.items():
        speed = files * megabytes * 1.048576 / median
        print(f"{label:22} {median:6.2f} s  {speed:6.0f} MB/s  {medians['curl'] / median:5.0%} of curl")


def compared(files: int, megabytes: int, rounds: int, place: str = "") -> dict[str, float]:
    """Median seconds of each way."""
    with tempfile.TemporaryDirectory(dir=place or None) as name:
        source, target = Path(name) / "source", Path(name) / "target"
        source.mkdir()
        md5 = {f"{index}.zip": write(source / f"{index}.zip", megabytes) for index in range(files)}
        url = serve(source)

        def curl() -> None:
            command = ["curl", "--no-progress-meter", "--fail", "--parallel", "--parallel-max", str(AT_ONCE)]
            for zip in md5:
                command += ["--output", str(target / zip), f"{url}/{zip}"]
            subprocess.run(command, check=True)

        def ours(checked: bool) -> Callable[[], None]:
            def work() -> None:
                line, waiting = Line(), list(md5)

                def worker() -> None:
                    while waiting:
                        zip = waiting.pop()
                        checksums = {"md5": md5[zip]} if checked else {}
                        line.fetch(Wanted(f"{url}/{zip}", target / zip, megabytes << 20, checksums))

                threads = [threading.Thread(target=worker) for _ in range(AT_ONCE)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()

            return work

        rows = {"curl": curl, "asd, md5 checked": ours(True), "asd, without checksum": ours(False)}
        seconds: dict[str, list[float]] = {label: [] for label in rows}
        for _ in range(rounds):
            for label, work in rows.items():
                target.mkdir()
                os.sync()
                began = time.perf_counter()
                work()
                seconds[label].append(time.perf_counter() - began)
                subprocess.run(["rm", "-r", str(target)], check=True)
        return {label: statistics.median(measured) for label, measured in seconds.items()}


def write(path: Path, megabytes: int) -> str:
    digest = hashlib.md5()
    with path.open("wb") as file:
        for _ in range(megabytes):
            block = os.urandom(1 << 20)
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


if __name__ == "__main__":
    main(*(int(argument) if argument.isdigit() else argument for argument in sys.argv[1:]))  # type: ignore[arg-type]
