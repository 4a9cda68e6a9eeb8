"""`xasnn-stream watch`: prints a feed."""

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING

from xasnn_stream.cli.line import (
    descriptors_text,
    remarks_text,
    scan_text,
    size_text,
)
from xasnn_stream.errors import DocumentError

if TYPE_CHECKING:
    from xasnn_stream.client import Result, Subscription

FIRST_WORD_S = 3.0
"""A feed answers a new subscriber at once."""
SILENT_S = 12.0
"""More than two signs of life of a feed, which come every five seconds."""
_SLICE_S = 0.5

_ROW = "{:<8}  {:>6}  {:<24.24} {:<12} {}"


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "watch",
        help="print a feed",
        description=(
            "Prints every result of a daemon's feed as it comes, and says on standard "
            "error when results were missed or the feed is silent. It waits for a "
            "daemon that is not there yet. Ends with Ctrl-C, as tail -f does; exit "
            "code 0."
        ),
    )
    parser.add_argument(
        "address", metavar="ADDRESS", help="of the feed, as tcp://127.0.0.1:5578"
    )
    parser.add_argument(
        "--partial", action="store_true", help="also what is still being measured"
    )
    parser.add_argument(
        "--json", action="store_true", help="the whole delivery, one JSON line each"
    )
    parser.set_defaults(run=watch)


def watch(arguments: argparse.Namespace) -> int:
    """Print results until Ctrl-C."""
    from xasnn_stream.client import subscribe

    given = arguments.address
    address = given if "://" in given else f"tcp://{given}"
    topics = ("final.", "partial.") if arguments.partial else ("final.",)
    line = _json_line if arguments.json else _text_line
    try:
        with subscribe(address, topics, timeout_s=_SLICE_S) as feed:
            silence = _Silence(feed, address)
            last: dict[str, int] = {}
            while True:
                for result in feed:
                    silence.look()
                    _note_gap(result, last)
                    print(line(result), flush=True)
                silence.look()
    except KeyboardInterrupt:
        return 0


class _Silence:
    """Says when the feed falls silent and when it is heard again."""

    def __init__(self, feed: "Subscription", address: str) -> None:
        self._feed = feed
        self._address = address
        self._since: float | None = None
        if feed.ready(FIRST_WORD_S):
            _note(f"watching {address}")
        else:
            self._begin("nothing heard yet; is a daemon running there? waiting")

    def look(self) -> None:
        silent_s = self._feed.silent_s
        if self._since is None:
            if silent_s > SILENT_S:
                self._begin(f"silent for {silent_s:.0f} s; waiting")
        elif silent_s < time.monotonic() - self._since:
            self._since = None
            _note(f"{self._address}: heard")

    def _begin(self, text: str) -> None:
        self._since = time.monotonic()
        _note(f"{self._address}: {text}")


def _note_gap(result: "Result", last: dict[str, int]) -> None:
    before = last.get(result.topic)
    if result.gap:
        _note(
            f"results were missed between {before} and {result.seq}; the daemon's page "
            f"has them under /api/history?since={before}"
        )
    if result.seq is not None:
        last[result.topic] = result.seq


def _json_line(result: "Result") -> str:
    delivery = {
        "seq": result.seq,
        "prev": result.prev,
        "published": result.published,
        "latency_s": result.latency_s,
        "waited_s": result.waited_s,
        "device": result.device,
        "estimate": result.estimate,
    }
    return json.dumps(delivery)


def _text_line(result: "Result") -> str:
    try:
        return _row(result)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DocumentError(
            f"an estimate on topic {result.topic!r} is of another form ({error!r}); is "
            "this the feed of xasnn-stream?"
        ) from error


def _row(result: "Result") -> str:
    estimate = result.estimate
    run, verdict = estimate["run"], estimate["verdict"]
    if not run["final"]:
        verdict = f"… {run['progress'] or 0:.0%}"
    texts = (
        descriptors_text(estimate),
        size_text(estimate),
        f"{1000 * result.latency_s:.0f} ms",
        remarks_text(estimate),
    )
    return _ROW.format(
        time.strftime("%H:%M:%S", time.localtime(result.published)),
        scan_text(run),
        estimate["sample"] or "-",
        verdict,
        "  ".join(text for text in texts if text),
    )


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
