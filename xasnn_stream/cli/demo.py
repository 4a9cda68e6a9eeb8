"""`xasnn-stream demo`: a simulated operando series, read live."""

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xasnn_stream.simulation.scoring import Sighting, Summary
    from xasnn_stream.simulation.services import Services

SCANS = 40


def register(subparsers: Any) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "demo",
        help="a simulated operando series, read live",
        description=(
            "Starts Tiled, a 0MQ proxy and the daemon, measures a series of simulated "
            "Pt particles the model never saw, and shows what the daemon makes of it. "
            "Serves on until Ctrl-C. Exit code 0 only if every sweep has its result in "
            "Tiled and on the feed."
        ),
    )
    parser.add_argument("--scans", type=_positive, default=SCANS, metavar="N")
    parser.add_argument("--seed", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--exit", action="store_true", help="end after the series")
    parser.add_argument("--json", action="store_true", help="JSON lines on stdout")
    parser.set_defaults(run=demo)


def demo(arguments: argparse.Namespace) -> int:
    """Run the demonstration; 0 only if every sweep came back both ways."""
    from xasnn_stream.simulation.demo import run_demo

    signal.signal(signal.SIGTERM, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="xasnn-demo-"))
    reporter = JsonReporter() if arguments.json else TableReporter()
    summary = run_demo(
        folder, arguments.scans, arguments.seed, not arguments.exit, reporter
    )
    return 0 if summary.complete else 1


class TableReporter:
    """A live table for people."""

    def note(self, text: str) -> None:
        """Say what is going on, beside the table."""
        print(f"· {text}", file=sys.stderr, flush=True)

    def ready(self, services: "Services") -> None:
        """Print the addresses and the head of the table."""
        print(f"page   {services.page}")
        print(f"feed   {services.feed}")
        print(f"tiled  {services.tiled}?api_key={services.api_key}")
        print()
        print(_row("scan", "sample", "true cn1", "cn1", "90 %", "verdict", "ms"))

    def estimate(self, number: int, sighting: "Sighting") -> None:
        """Print a row of the table."""
        estimate = sighting.estimate or {}
        cn1 = estimate.get("descriptors", {}).get("cn1")
        value, interval = "", ""
        if cn1 is not None:
            value = f"{cn1['value']:.2f}"
            interval = "{:.2f} … {:.2f}".format(*(cn1["interval"] or (0.0, 0.0)))
        print(
            _row(
                number,
                estimate.get("sample") or "-",
                f"{sighting.truth['cn1']:.2f}",
                value,
                interval,
                estimate.get("verdict", "missing"),
                f"{1000 * (sighting.latency_s or 0.0):.0f}",
            ),
            flush=True,
        )

    def summary(self, summary: "Summary", services: "Services") -> None:
        """Print what the series came to."""
        print()
        print(f"{summary.sweeps} sweeps: {summary.on_feed} on the feed, ", end="")
        print(f"{summary.in_tiled} in Tiled; verdicts {_counts(summary.verdicts)}")
        print(
            f"oxidized by 0.3 or more: {summary.oxidized} sweeps, "
            f"{summary.oxidized_ok} called ok; of the others "
            f"{_percent(summary.others_usable)} ok or caution"
        )
        print(f"cn1 of the {summary.metallic} sweeps without oxide:")
        print(f"median |cn1 - truth|             {_number(summary.median_error_cn1)}")
        print(
            f"truth inside the interval        {_percent(summary.coverage_cn1)}", end=""
        )
        print(f" (promised {_percent(summary.level)})")
        print(f"median width of the interval     {_number(summary.median_width_cn1)}")
        print(
            f"last document to log, p50, p95   {_ms(summary.latency_p50_s)}, ", end=""
        )
        print(_ms(summary.latency_p95_s))
        print(
            f"stop document to here, p50, p95  {_ms(summary.stop_to_feed_p50_s)}, ",
            end="",
        )
        print(_ms(summary.stop_to_feed_p95_s))
        print(f"documents, logs and state        {services.folder}", flush=True)


class JsonReporter:
    """JSON lines for programs."""

    def note(self, text: str) -> None:
        """Print a message to standard error."""
        print(text, file=sys.stderr, flush=True)

    def ready(self, services: "Services") -> None:
        """Print the first line: where everything is."""
        _line(
            "ready",
            page=services.page,
            feed=services.feed,
            tiled=services.tiled,
            api_key=services.api_key,
            source=services.source,
            folder=str(services.folder),
        )

    def estimate(self, number: int, sighting: "Sighting") -> None:
        """Print one line per sweep."""
        _line(
            "estimate",
            scan=number,
            truth=dict(sighting.truth),
            estimate=sighting.estimate,
            latency_s=sighting.latency_s,
        )

    def summary(self, summary: "Summary", services: "Services") -> None:
        """Print the last line."""
        del services
        _line("summary", **summary.document())


def _line(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def _row(*cells: object) -> str:
    return "{:>4}  {:<32} {:>8} {:>7}  {:<16} {:<9} {:>5}".format(*cells)


def _counts(verdicts: Any) -> str:
    return ", ".join(f"{count} {name}" for name, count in verdicts.items()) or "none"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{1000 * value:.0f} ms"


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End as with Ctrl-C, so that the processes started here end too.

    Only once: `timeout` sends its signal twice, and the second would leave them behind.
    """
    del frame
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
