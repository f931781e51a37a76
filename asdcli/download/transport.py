"""Files over an unreliable line: resumed, waited for, checked, and in their place only when whole and right."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import asdcli
from asdcli.download.part import Part, TryAgainError, Wanted
from asdcli.errors import UserError, WorkError
from asdcli.workspace.checksums import BLOCK, mismatch

if TYPE_CHECKING:
    from requests import Response

USER_AGENT = f"asdcli/{asdcli.__version__} (anomalous sound detection; fetches DCASE Task 2 data)"
WRONG_CHECKSUMS = 3
LARGEST_JSON = 16 << 20
T = TypeVar("T")

Say = Callable[[float, str], None]
"""Told the bytes so far, and in words why none are coming (empty: they are)."""


class UnreachableError(WorkError):
    """The host could not be reached, or tries in a row brought nothing new."""


class NotThereError(WorkError):
    """The host has no such file."""


class StoppedError(WorkError):
    """The line's flag ended the work."""


@dataclass(frozen=True)
class Patience:
    """tries: in a row that bring no new byte; fewer while the host has never answered. The rest in seconds: first wait
    (then doubled), longest wait, longest Retry-After that is sat out, time to connect, and the stall window, in which
    `slowest` bytes per second must come.
    """

    tries: int = 9
    tries_at_first: int = 3
    first_wait: float = 0.5
    longest_wait: float = 60.0
    longest_request: float = 900.0
    connect: float = 20.0
    stall: float = 30.0
    slowest: float = 512.0


@dataclass(frozen=True)
class Line:
    """The way out: a mirror in place of every host, how patient to be, a flag that ends all waiting, hosts met."""

    mirror: str = ""
    patience: Patience = field(default_factory=Patience)
    stop: threading.Event = field(default_factory=threading.Event)
    met: set[str] = field(default_factory=set)

    @classmethod
    def to(cls, mirror: str | None = None) -> Line:
        """The line by a mirror; left out, by that of the environment (ASD_MIRROR) if there is one."""
        given = os.environ.get("ASD_MIRROR", "") if mirror is None else mirror
        if given and not given.startswith(("http://", "https://")):
            raise UserError(f"--mirror {given} is not the address of a server.", "--mirror http://HOST:PORT")
        return cls(given)

    def at(self, url: str) -> str:
        """The address to ask. A mirror answers under the paths of the originals, whatever their host."""
        parts = urlsplit(url)
        return f"{self.mirror.rstrip('/')}{parts.path}{'?' * bool(parts.query)}{parts.query}" if self.mirror else url

    def fetch(self, wanted: Wanted, say: Say = lambda done, why: None) -> None:
        """Bring the file to its place. Raises the errors above, and WorkError when only wrong contents come."""
        if wanted.target.exists() and not mismatch(wanted.target, wanted.size, wanted.checksums):
            return
        part, faults = Part(wanted), []

        def attempt() -> None:
            if not part.is_whole():
                self._receive(part, say)
            if fault := part.finish():
                faults.append(fault)
                if len(faults) == WRONG_CHECKSUMS:
                    raise WorkError(f"{wanted.target.name} came {len(faults)} times with the wrong contents: {fault}.")
                raise TryAgainError(fault)

        try:
            self._insist(wanted.url, attempt, lambda: part.furthest, lambda why: say(part.length, why))
        finally:
            part.close()

    def fetch_json(self, url: str) -> Any:
        """A small JSON document."""

        def attempt() -> Any:
            answer = b""
            with self._open(self.at(url), {}) as response:
                for block in self._flow(response):
                    answer += block
                    if len(answer) > LARGEST_JSON:
                        raise WorkError(f"{self.at(url)} answers with more than {LARGEST_JSON} bytes.")
            try:
                return json.loads(answer)
            except ValueError:
                raise TryAgainError("the answer is not JSON") from None

        return self._insist(url, attempt)

    def _insist(
        self,
        url: str,
        attempt: Callable[[], T],
        furthest: Callable[[], int] = lambda: 0,
        say: Callable[[str], None] = lambda why: None,
    ) -> T:
        """Try until it works, or until tries in a row got no further."""
        failures = 0
        while True:
            before = furthest()
            try:
                return attempt()
            except TryAgainError as again:
                failures = 0 if furthest() > before else failures + 1
                met = urlsplit(self.at(url)).netloc in self.met
                if failures >= (self.patience.tries if met else self.patience.tries_at_first):
                    came = f" after {furthest()} bytes" if furthest() else ""
                    raise UnreachableError(f"Cannot fetch {self.at(url)}: {again}{came}.") from None
                self._wait(again, failures, say)

    def _receive(self, part: Part, say: Say) -> None:
        """One request, and as much of the file as it brings."""
        with self._open(self.at(part.wanted.url), part.request_headers()) as response:
            blocks = self._flow(response)
            block = next(blocks, b"")
            part.begin(response.status_code, response.headers, block)
            while block:
                part.write(block)
                say(part.length, "")
                block = next(blocks, b"")
        if part.size is not None and part.length < part.size:
            raise TryAgainError("the line was cut")
        part.size = part.length

    def _flow(self, response: Response) -> Iterator[bytes]:
        """The body as it comes off the line, in pieces of at most BLOCK, as long as enough of it comes."""
        began, came = time.monotonic(), 0
        while block := _read(response):
            yield block
            if self.stop.is_set():
                raise StoppedError("Stopped.")
            came += len(block)
            passed = time.monotonic() - began
            if passed >= self.patience.stall:
                if came < self.patience.slowest * passed:
                    raise TryAgainError(f"only {came} bytes came in {passed:.0f} s")
                began, came = time.monotonic(), 0

    def _open(self, url: str, headers: dict[str, str]) -> Response:
        import requests

        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
        timeouts = (self.patience.connect, self.patience.stall)
        try:
            response = requests.get(url, headers=headers, stream=True, timeout=timeouts)
        except requests.exceptions.SSLError as error:
            raise UnreachableError(f"No trusted connection to {urlsplit(url).netloc}: {_innermost(error)}.") from None
        except (requests.ConnectionError, requests.Timeout, requests.TooManyRedirects) as error:
            raise TryAgainError(f"no connection: {_innermost(error)}") from None
        except (requests.RequestException, ValueError) as error:
            raise UserError(f"{url} is not an address to fetch from: {error}.") from None
        self.met.add(urlsplit(url).netloc)
        if response.status_code in (200, 206, 416):
            return response
        response.close()
        raise _refusal(response)

    def _wait(self, again: TryAgainError, failures: int, say: Callable[[str], None]) -> None:
        """Sit out what the host asks for, or a wait that doubles; a little random, so that clients spread."""
        if again.wait > self.patience.longest_request:
            raise UnreachableError(f"The host asks to come back in {again.wait / 60:.0f} minutes: {again}.")
        longest = min(self.patience.longest_wait, self.patience.first_wait * 2.0 ** max(0, failures - 1))
        seconds = max(again.wait, longest * random.uniform(0.75, 1.25))
        say(f"{again}; next try in {seconds:.0f} s")
        if self.stop.wait(seconds):
            raise StoppedError("Stopped.")


def _read(response: Response) -> bytes:
    """What lies ready of the body; empty at its end."""
    from http.client import HTTPException

    from urllib3.exceptions import HTTPError

    try:
        return response.raw.read1(BLOCK, decode_content=False)
    except (HTTPError, HTTPException, OSError) as error:
        why = "" if "IncompleteRead" in repr(error) else f" ({_innermost(error)})"
        raise TryAgainError(f"the line was cut{why}") from None


def _refusal(response: Response) -> Exception:
    """What an answer without the file means: come again, or not."""
    answer = f"{urlsplit(response.url).netloc} answers {response.status_code} {response.reason or ''}".strip()
    if response.status_code in (403, 408, 425, 429) or response.status_code >= 500:
        return TryAgainError(answer, _seconds(response.headers.get("Retry-After", "")))
    return NotThereError(f"{answer} to {response.url}")


def _seconds(retry_after: str) -> float:
    """Retry-After in seconds, given as seconds or as a date; 0 when it says nothing sensible."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return 0.0


def _innermost(error: BaseException) -> str:
    """The reason below the wrapping of requests and urllib3, in a few words."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".").lower()
