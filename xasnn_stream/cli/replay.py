"""`xasnn-stream replay`: the same pipeline over stored runs."""

import argparse
import json
import math
from pathlib import Path
from typing import Any

from xasnn_stream.cli.line import (
    descriptors_text,
    remarks_text,
    scan_text,
    size_text,
)
from xasnn_stream.cli.moment import moment
from xasnn_stream.cli.run import add_file_arguments, add_result_arguments

_ROW = "{:>8}  {:<24} {:<9} {}"
_HEAD = _ROW.format("scan", "sample", "verdict", "descriptors") + "\n"


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
        help="tiled+http://host:port/path, databroker:NAME, or documents as JSON lines, "
        "- for stdin",
    )
    parser.add_argument(
        "--uid", action="append", default=[], help="only this run; may be repeated"
    )
    parser.add_argument(
        "--since",
        type=moment,
        metavar="T",
        help="runs since: epoch seconds, a time like 2026-11-22T08:30, or 8h, 2d ago",
    )
    parser.add_argument("--until", type=moment, metavar="T", help="runs until")
    parser.add_argument(
        "--speed",
        type=_speed,
        default="max",
        metavar="max|real|N",
        help="as fast as possible (default), as the documents' times say, or N times "
        "as fast as that",
    )
    parser.add_argument("--feed", metavar="ADDRESS", help="publish results there, too")
    add_result_arguments(parser)
    add_file_arguments(parser)
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="keep the result log in this folder"
    )
    parser.add_argument("--json", action="store_true", help="JSON lines on stdout")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Replay and print one line per estimate."""
    from xasnn_stream.assembly.files import Files, data_roots
    from xasnn_stream.profile import parse_overrides
    from xasnn_stream.replay import Request, replay
    from xasnn_stream.sources.open import scheme_of
    from xasnn_stream.sources.selection import Selection
    from xasnn_stream.telemetry.logging import set_up_logging

    set_up_logging("text")
    roots, renamed = data_roots(arguments.data_root)
    # Who has the documents as a file may read whatever they name; a server may not say.
    anywhere = not roots and not scheme_of(arguments.source)
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
        speed=arguments.speed,
        files=Files(
            None if anywhere else roots,
            renamed,
            arguments.file_timeout,
            Path(arguments.source).parent if anywhere else None,
        ),
    )
    head = "" if arguments.json else _HEAD
    for estimate in replay(request):
        document = estimate.document()
        line = json.dumps(document) if arguments.json else _row(document)
        print(f"{head}{line}", flush=True)
        head = ""
    return 0


def _row(estimate: dict[str, Any]) -> str:
    texts = (
        descriptors_text(estimate),
        size_text(estimate),
        remarks_text(estimate),
    )
    return _ROW.format(
        scan_text(estimate["run"]),
        (estimate["sample"] or "")[:24],
        estimate["verdict"],
        "  ".join(text for text in texts if text),
    )


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = 1.0 if text == "real" else float(text)
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not max, real or a number > 0")
    return speed
