"""`xasnn-stream report`: what was measured, gapped, recovered, rejected."""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from xasnn_stream.cli.moment import moment
from xasnn_stream.cli.run import state_folder

if TYPE_CHECKING:
    from xasnn_stream.report import Gapped, Report

SHOWN = 20
"""Incomplete sweeps printed, the latest; `--json` has all."""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "report",
        help="what was measured, gapped, recovered, rejected",
        description="Reads the result log, also while the daemon runs.",
    )
    parser.add_argument(
        "--since",
        type=moment,
        metavar="T",
        help="results since: epoch seconds, a time like 2026-11-22T08:30, or 8h, 2d "
        "ago (default: all there are)",
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=state_folder(),
        metavar="DIR",
        help="the daemon's folder (default %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON line")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the report."""
    from xasnn_stream.report import report

    found = report(arguments.state, arguments.since)
    if arguments.json:
        print(json.dumps(found.document()))
    else:
        print("\n".join(_page(found)))
    return 0


def _page(report: "Report") -> Iterator[str]:
    results = sum(share.results for share in report.shares)
    since = "" if report.since is None else f" since {_time(report.since)}"
    yield f"{_plural(results, 'result')}{since}"
    for share in report.shares:
        yield f"{share.profile}, {share.model} {share.model_sha256[:12]}"
        yield f"  verdicts  {_counts(share.verdicts)}"
        yield f"  reasons   {_counts(share.reasons)}"
        if share.masked:
            points = _plural(share.masked_points, "point")
            yield f"  left out  {points} of {_plural(share.masked, 'result')}"
    if report.latency_s is not None:
        p50, p95 = (1000 * seconds for seconds in report.latency_s)
        yield f"latency     p50 {p50:.0f} ms, p95 {p95:.0f} ms"
    recovered = sum(gapped.recovered for gapped in report.gapped)
    yield (
        f"incomplete  {_plural(len(report.gapped), 'sweep')}, {recovered} recovered; "
        f"{_plural(report.void, 'void row')}"
    )
    for gapped in report.gapped[-SHOWN:]:
        yield f"  {_gapped(gapped)}"
    if len(report.gapped) > SHOWN:
        yield f"  … and {len(report.gapped) - SHOWN} before them"
    for sink, pending in report.pending.items():
        yield f"sink {sink:<6} {'up to date' if not pending else f'{pending} behind'}"


def _gapped(gapped: "Gapped") -> str:
    state = "recovered" if gapped.recovered else "not recovered"
    return (
        f"{_time(gapped.published)}  scan {gapped.scan_id} sweep {gapped.sweep}  "
        f"{gapped.sample or '-'}  {_plural(gapped.n_missed, 'row')} missing, {state}  "
        f"{gapped.uid}"
    )


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counter.most_common()) or "none"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
