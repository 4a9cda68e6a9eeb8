"""From a result's entry in the log to its pixels in Chromium; run by hand.

    python -m tests.bench.page_latency [--rate 20] [--partials 5] [--seconds 30]

Prints one JSON line with milliseconds. A result counts as drawn after the animation
frame that drew it, by the browser's clock, which is that of this machine.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.browser import series
from tests.browser.chromium import Chromium, find_chromium
from xasnn_stream.partials import Partials
from xasnn_stream.results import LOG_NAME, ResultLog
from xasnn_stream.telemetry.counters import Counters
from xasnn_stream.web.app import build_app
from xasnn_stream.web.server import WebServer
from xasnn_stream.web.views import Views

RECORD = """
window.drawnAt = [];
new MutationObserver(() => {
  const seq = Number(document.documentElement.dataset.drawn);
  setTimeout(() => window.drawnAt.push([seq, Date.now()]));
}).observe(document.documentElement, {attributeFilter: ["data-drawn"]});
"""
HELD_BEFORE = 500
"""Results the page shows already, as after hours of measuring."""


def main() -> int:
    """Measure and print; 1 if results were not drawn or the console complained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=20.0, help="results per second")
    parser.add_argument(
        "--partials", type=float, default=0.0, help="partials per second"
    )
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--screenshot", type=Path)
    options = parser.parse_args()
    program = find_chromium()
    if program is None:
        sys.exit("chromium is not installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "browser").mkdir()
        log, partials = ResultLog(folder / LOG_NAME), Partials()
        views = Views(log, Counters(), list, dict, lambda: None, partials)
        server = WebServer(build_app(views), "127.0.0.1:0", _report)
        browser = Chromium(program, folder / "browser")
        try:
            _add(log, range(1, HELD_BEFORE + 1))
            browser.view(1440, 1000)
            browser.open(server.url)
            browser.wait_for(f"document.documentElement.dataset.drawn == {HELD_BEFORE}")
            browser.value(RECORD)
            _publish(log, partials, options)
            if options.screenshot:
                browser.screenshot(options.screenshot)
            newest = f"document.documentElement.dataset.drawn == {log.newest}"
            browser.wait_for(newest)
            drawn = browser.value("new Promise(r => setTimeout(() => r(drawnAt), 200))")
            published = [(d.seq, d.published) for d in log.latest(log.newest)]
        finally:
            browser.close()
            server.stop(10)
            log.close()
    waited = _waited([p for p in published if p[0] > HELD_BEFORE], drawn)
    print(json.dumps(_summary(waited, options) | {"errors": browser.errors}))
    return int(bool(browser.errors))


def _report(thread: str, error: BaseException) -> None:
    print(f"xasnn-{thread} died: {error}", file=sys.stderr)


def _add(log: ResultLog, numbers: range) -> None:
    estimates = [series.final(number) for number in numbers]
    log.append(estimates, [0.05] * len(estimates), "cpu")


def _publish(log: ResultLog, partials: Partials, options: argparse.Namespace) -> None:
    """Append results at the rate asked for, and partials between them."""
    count = round(options.rate * options.seconds)
    ready = [series.final(HELD_BEFORE + 1 + k) for k in range(count)]
    shown = [series.partial(100_000, k / 10) for k in range(1, 11)]
    started = time.monotonic()
    told = 0
    for k, estimate in enumerate(ready):
        time.sleep(max(0.0, started + k / options.rate - time.monotonic()))
        log.append([estimate], [0.05], "cpu")
        if options.partials and k * options.partials >= told * options.rate:
            partials.publish([shown[told % len(shown)]], [0.02], "cpu")
            told += 1


def _waited(
    published: list[tuple[int, float]], drawn: list[tuple[int, float]]
) -> list[float]:
    """Milliseconds of each result until the first frame that had it or a newer one."""
    return [
        min(at for newest, at in drawn if newest >= seq) - 1000 * seconds
        for seq, seconds in published
    ]


def _summary(waited: list[float], options: argparse.Namespace) -> dict[str, object]:
    p50, p95, p99 = np.percentile(waited, (50, 95, 99))
    return {
        "bench": "page_latency",
        "results_per_s": options.rate,
        "partials_per_s": options.partials,
        "n": len(waited),
        "p50_ms": round(float(p50), 1),
        "p95_ms": round(float(p95), 1),
        "p99_ms": round(float(p99), 1),
        "max_ms": round(max(waited), 1),
    }


if __name__ == "__main__":
    sys.exit(main())
