"""`xasnn-stream doctor`: reaches every end that a command line of `run` names."""

import argparse
import json
from dataclasses import asdict

from xasnn_stream.cli.run import add_deployment_arguments, unless_none
from xasnn_stream.errors import FAILED

TIMEOUT_S = 10.0

_ROW = "{:<8} {:<10} {}  {}"


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "doctor",
        help="reach every end that a command line of run names, and say what is wrong",
    )
    add_deployment_arguments(parser)
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=TIMEOUT_S,
        metavar="SECONDS",
        help="how long an end may take to answer (default %(default)g)",
    )
    parser.add_argument("--json", action="store_true", help="a JSON line per end")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a line per end; 1 if any is not OK."""
    from xasnn_stream.doctor import Ends, examine
    from xasnn_stream.profile import parse_overrides

    ends = Ends(
        profiles=arguments.profiles,
        overrides=parse_overrides(arguments.set),
        sources=arguments.source,
        feed=unless_none(arguments.feed),
        http=unless_none(arguments.http),
        results=arguments.results,
        backfill=arguments.backfill,
        reference=arguments.reference,
        state=arguments.state,
        allow_pickle=arguments.allow_pickle,
        data_roots=arguments.data_root,
    )
    failed = 0
    for finding in examine(ends, arguments.timeout):
        failed += finding.status != "OK"
        if arguments.json:
            print(json.dumps(asdict(finding)), flush=True)
            continue
        row = _ROW.format(finding.status, finding.end, finding.address, finding.text)
        print(row, flush=True)
        if finding.remedy:
            print(_ROW.format("", "", "→", finding.remedy), flush=True)
    return FAILED if failed else 0


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 600")
    return seconds
