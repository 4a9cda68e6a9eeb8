"""A web server over a real log, as a daemon would have it, and who reads from it."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from xasnn_stream.partials import Partials
from xasnn_stream.results import ResultLog
from xasnn_stream.telemetry.counters import Counters
from xasnn_stream.web.app import build_app
from xasnn_stream.web.server import WebServer
from xasnn_stream.web.views import Views


class Daemon:
    """What the interface sees of a daemon."""

    def __init__(self, log: ResultLog) -> None:
        self.log = log
        self.counters = Counters()
        self.partials = Partials()
        self.reasons: list[str] = []
        self.deaths: list[tuple[str, BaseException]] = []
        self.refreshed = 0
        views = Views(
            log,
            self.counters,
            lambda: self.reasons,
            lambda: {"version": "x"},
            self.tick,
            self.partials,
        )
        self.server = WebServer(
            build_app(views), "127.0.0.1:0", lambda *death: self.deaths.append(death)
        )

    def tick(self) -> None:
        self.refreshed += 1

    def request(self, path: str) -> tuple[int, dict[str, str], str]:
        """Return status, headers and text of an answer."""
        try:
            url = self.server.url + path
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read().decode()

    def get(self, path: str) -> tuple[int, str]:
        code, _, text = self.request(path)
        return code, text


class EventStream:
    """A client of `/api/stream` that reads event by event."""

    def __init__(self, url: str, query: str = "", **headers: str) -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=5
        )
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("GET", "/api/stream" + query, headers=names)
        self.answer = self._connection.getresponse()

    def next(self) -> tuple[str, str | None, dict]:
        """Return name, id and data of the next event; EOFError at the end."""
        fields: dict[str, str] = {}
        while True:
            line = self.answer.readline().decode()
            if not line:
                raise EOFError
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                return fields["event"], fields.get("id"), json.loads(fields["data"])
            else:
                fields = {}

    def take(self, name: str, count: int) -> list[dict]:
        """Return the data of the next events of a name, passing over others."""
        found: list[dict] = []
        while len(found) < count:
            event, _, data = self.next()
            if event == name:
                found.append(data)
        return found

    def close(self) -> None:
        self.answer.close()
        self._connection.close()


@pytest.fixture
def daemon(tmp_path) -> Iterator[Daemon]:
    log = ResultLog(tmp_path / "results.sqlite")
    daemon = Daemon(log)
    yield daemon
    assert daemon.server.stop(10)
    log.close()
    assert not daemon.deaths


@pytest.fixture
def open_stream(daemon) -> Iterator[Callable[..., EventStream]]:
    """A function that opens a stream; all are closed at the end."""
    streams: list[EventStream] = []

    def opened(query: str = "", **headers: str) -> EventStream:
        streams.append(EventStream(daemon.server.url, query, **headers))
        return streams[-1]

    yield opened
    for stream in streams:
        stream.close()
