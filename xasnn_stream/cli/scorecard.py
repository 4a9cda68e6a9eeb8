"""`xasnn-stream scorecard`: how well denoisers do where the truth is known."""

import argparse
import json
from dataclasses import replace
from pathlib import Path


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "scorecard",
        help="how well denoisers do where the truth is known",
        description="Score denoisers: repeated scans, each against the mean of the "
        "others; noisy copies of known spectra; noise on an edge without fine structure.",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="measured data, with spectra/ in it; without, computed spectra only",
    )
    parser.add_argument(
        "--repeats",
        type=Path,
        metavar="DIR",
        action="append",
        default=[],
        help="a folder of scans of one sample, may be repeated",
    )
    parser.add_argument(
        "--method",
        metavar="NAME",
        action="append",
        default=[],
        help="score this method, may be repeated; default: all",
    )
    parser.add_argument("--json", action="store_true", help="JSON lines")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a row per set and method."""
    from xasnn_stream.scorecard.card import (
        BARE_HEAD,
        SCORE_HEAD,
        Request,
        document,
        scores,
        table_row,
    )
    from xasnn_stream.scorecard.score import Hallucination

    request = Request(arguments.data, tuple(arguments.repeats))
    if arguments.method:
        request = replace(request, methods=tuple(arguments.method))
    head: tuple[str, ...] = ()
    for row in scores(request):
        if arguments.json:
            print(json.dumps(document(row)), flush=True)
            continue
        wanted = BARE_HEAD if isinstance(row, Hallucination) else SCORE_HEAD
        if wanted != head:
            print("\n".join(("", *wanted) if head else wanted))
            head = wanted
        print(table_row(row), flush=True)
    return 0
