"""`xasnn-stream replay`: the same pipeline over stored runs."""

import argparse
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from xasnn_stream.cli.run import add_result_arguments

if TYPE_CHECKING:
    from xasnn_stream.estimate import Estimate

_ROW = "{:<10} {:>5}  {:<24} {:<9} {}"


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "replay",
        help="the same pipeline over stored runs",
        description="Exit code 0 when every selected run got its results.",
    )
    parser.add_argument("profiles", nargs="+", metavar="PROFILE")
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="tiled+http://host:port/path, or documents as JSON lines, - for stdin",
    )
    parser.add_argument(
        "--uid", action="append", default=[], help="only this run; may be repeated"
    )
    parser.add_argument(
        "--since", type=_time, metavar="T", help="runs since: epoch seconds or ISO 8601"
    )
    parser.add_argument("--until", type=_time, metavar="T", help="runs until")
    parser.add_argument("--speed", choices=("max",), default="max")
    parser.add_argument("--feed", metavar="ADDRESS", help="publish results there, too")
    add_result_arguments(parser)
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="keep the result log in this folder"
    )
    parser.add_argument("--json", action="store_true", help="JSON lines on stdout")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Replay and print one line per estimate."""
    from xasnn_stream.profile import parse_overrides
    from xasnn_stream.replay import Request, replay
    from xasnn_stream.sources.selection import Selection
    from xasnn_stream.telemetry.logging import set_up_logging

    set_up_logging("text")
    request = Request(
        profiles=arguments.profiles,
        overrides=parse_overrides(arguments.set),
        source=arguments.source,
        selection=Selection(
            tuple(arguments.uid), arguments.since, arguments.until, wanted=None
        ),
        reference=arguments.reference,
        results=arguments.results,
        feed=arguments.feed,
        state=arguments.state,
    )
    if not arguments.json:
        print(_ROW.format("run", "sweep", "sample", "verdict", "descriptors"))
    for estimate in replay(request):
        if arguments.json:
            line = json.dumps(estimate.document(), allow_nan=False)
        else:
            line = _row(estimate)
        print(line, flush=True)
    return 0


def _row(estimate: "Estimate") -> str:
    values = [
        f"{name} {descriptor.value:.2f}±{descriptor.std:.2f}"
        for name, descriptor in estimate.descriptors.items()
    ]
    reasons = [reason.text for reason in estimate.reasons]
    return _ROW.format(
        estimate.run.uid[:8],
        estimate.run.sweep,
        (estimate.sample or "")[:24],
        estimate.verdict,
        "  ".join(values + reasons),
    )


def _time(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither epoch seconds nor a time like 2026-11-22T08:30"
        ) from None
