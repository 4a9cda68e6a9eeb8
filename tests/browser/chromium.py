"""A headless Chromium with one page, driven over its DevTools protocol."""

import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
START_S = 30.0
ANSWER_S = 20.0
WAIT_S = 10.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


def find_chromium() -> str | None:
    """Return the program, None where it is not installed."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Chromium:
    """Owns the browser's process; `errors` collects what its console complains about.

    `folder` takes the profile and must be empty.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self.errors: list[str] = []
        self.requested: list[str] = []
        self._numbers = itertools.count(1)
        self._loaded = False
        with (folder / "chromium.log").open("w") as output:
            self._process = subprocess.Popen(
                [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        with contextlib.ExitStack() as stack:
            stack.callback(self._kill)
            address = self._address(folder / "DevToolsActivePort")
            # Nothing but the loopback, whatever proxy the environment names.
            opened = connect(address, max_size=None, proxy=None)
            self._socket = stack.enter_context(opened)
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
            self._stack = stack.pop_all()

    def open(self, url: str) -> None:
        """Load a page and its scripts; they may still be fetching."""
        self._load("Page.navigate", url=url)

    def reload(self) -> None:
        """Load the page again."""
        self._load("Page.reload")

    def value(self, expression: str) -> Any:
        """Evaluate in the page, waiting for promises; AssertionError if it throws."""
        answer = self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str, timeout_s: float = WAIT_S) -> Any:
        """Return the first true value of an expression."""
        deadline = time.monotonic() + timeout_s
        while not (value := self.value(expression)):
            if time.monotonic() > deadline:
                text = self.value("document.body.innerText.slice(0, 500)")
                raise AssertionError(f"never true: {expression}\n{text}\n{self.errors}")
            time.sleep(0.02)
        return value

    def view(self, width: int, height: int, *, dark: bool = False) -> None:
        """Set the size of the window and the colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write what is seen, or the whole page, as PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command and return its result; events meanwhile are noted."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        self._socket.send(json.dumps(message))
        deadline = time.monotonic() + ANSWER_S
        while (answer := self._receive(deadline)).get("id") != number:
            pass
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def close(self) -> None:
        """End the browser."""
        with contextlib.suppress(TimeoutError, OSError):
            self.call("Browser.close")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._stack.close()

    def _load(self, method: str, **params: Any) -> None:
        self._loaded = False
        self.call(method, **params)
        deadline = time.monotonic() + ANSWER_S
        while not self._loaded:
            self._receive(deadline)

    def _receive(self, deadline: float) -> dict[str, Any]:
        message = json.loads(self._socket.recv(max(0.0, deadline - time.monotonic())))
        if "method" in message:
            self._note(message["method"], message["params"])
        return message

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.errors.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(json.dumps(params["entry"]))
        elif method == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        elif method == "Page.loadEventFired":
            self._loaded = True

    def _address(self, port_file: Path) -> str:
        deadline = time.monotonic() + START_S
        while True:
            assert self._process.poll() is None, "Chromium ended at once"
            assert time.monotonic() < deadline, "Chromium did not start"
            with contextlib.suppress(OSError, ValueError, IndexError):
                port = int(port_file.read_text().split()[0])
                url = f"http://127.0.0.1:{port}/json/list"
                with urllib.request.urlopen(url, timeout=5) as answer:
                    pages = [t for t in json.load(answer) if t["type"] == "page"]
                return pages[0]["webSocketDebuggerUrl"]
            time.sleep(0.05)

    def _kill(self) -> None:
        """End the processes of the session that was started for the browser."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
