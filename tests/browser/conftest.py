"""A page in a real browser, served over a real log."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from xasnn_stream.estimate import Estimate
from xasnn_stream.partials import Partials
from xasnn_stream.results import ResultLog
from xasnn_stream.telemetry.counters import Counters
from xasnn_stream.web.app import build_app
from xasnn_stream.web.server import WebServer
from xasnn_stream.web.views import Views

from .chromium import Chromium, find_chromium


class Site:
    """What a daemon shows over HTTP; it can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.counters = Counters()
        self.partials = Partials()
        self.waits_for: list[str] = []
        self.deaths: list[tuple[str, BaseException]] = []
        self.status: dict[str, object] = {"version": "0.1.0", "profiles": {}}
        self._address = "127.0.0.1:0"
        self.start(folder)

    def start(self, folder: Path) -> None:
        """Serve the log in `folder`, at the address of before."""
        self.log = ResultLog(folder / "results.sqlite")
        views = Views(
            self.log,
            self.counters,
            lambda: self.waits_for,
            lambda: self.status,
            lambda: None,
            self.partials,
        )
        self._server = WebServer(
            build_app(views), self._address, lambda *death: self.deaths.append(death)
        )
        self.url = self._server.url
        self._address = self.url.removeprefix("http://")

    def stop(self) -> None:
        assert self._server.stop(10)
        self.log.close()

    def add(self, *estimates: Estimate) -> None:
        """Write results as the pipeline does, then forget their partials."""
        self.log.append(estimates, [0.058] * len(estimates), "cpu")
        self.partials.end(estimates)

    def publish(self, *partials: Estimate) -> None:
        self.partials.publish(partials, [0.02] * len(partials), "cpu")


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.stop()
    assert not site.deaths


@pytest.fixture(scope="module")
def chromium(tmp_path_factory) -> Iterator[Chromium]:
    program = find_chromium()
    if program is None:
        pytest.skip("chromium is not installed: make services")
    browser = Chromium(program, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


class Page:
    """What somebody who looks at the page sees and does."""

    def __init__(self, chromium: Chromium, site: Site) -> None:
        self.chromium = chromium
        self._site = site

    def open(self) -> None:
        self.chromium.view(1280, 900)
        self.chromium.open(self._site.url)
        self.drawn()

    def drawn(self) -> None:
        """Wait until the newest result is on the page."""
        newest = self._site.log.newest
        self.wait_for(f"document.documentElement.dataset.drawn == '{newest}'")

    def wait_for(self, expression: str) -> object:
        return self.chromium.wait_for(expression)

    def text(self, selector: str) -> str:
        return self.chromium.value(f"document.querySelector('{selector}').innerText")

    def shows(self, selector: str, text: str) -> None:
        """Wait until an element contains a text."""
        found = f"document.querySelector({selector!r}).innerText.includes({text!r})"
        self.wait_for(found)

    def click(self, selector: str) -> None:
        self.chromium.value(f"document.querySelector({selector!r}).click()")

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.chromium.call("Input.dispatchKeyEvent", type=kind, key=key)

    def scans(self) -> list[str]:
        """Return the names of the scans in the table, from the top."""
        script = "[...document.querySelectorAll('tbody td.scan')].map(c => c.innerText)"
        return self.chromium.value(script)

    def seen(self, selector: str) -> bool:
        script = f"document.querySelector({selector!r}).checkVisibility()"
        return self.chromium.value(script)

    def curve_end(self) -> float:
        """Return how far right the spectrum's curve is drawn, as a share of the plot."""
        return max(self.drawn_in("sample"), default=0)

    def drawn_in(self, colour: str) -> list[float]:
        """Return where, as shares of its width, the spectrum's plot has a colour."""
        time.sleep(0.1)  # a frame
        return self.chromium.value(f"({DRAWN_IN})({colour!r})")


DRAWN_IN = """(name) => {
  const colour = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
  const [r, g, b] = [1, 3, 5].map((k) => parseInt(colour.trim().slice(k, k + 2), 16));
  const canvas = document.querySelector("#spectrum-plot canvas");
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const columns = new Set();
  for (let k = 0; k < data.length; k += 4)
    if (data[k] === r && data[k + 1] === g && data[k + 2] === b)
      columns.add((k / 4) % width);
  return [...columns].sort((one, other) => one - other).map((x) => x / width);
}"""


@pytest.fixture
def page(chromium, site) -> Iterator[Page]:
    chromium.errors.clear()
    chromium.requested.clear()
    yield Page(chromium, site)
    chromium.open("about:blank")
