"""`xasnn-stream run`: the daemon."""

import argparse
import math
import os
from pathlib import Path

FEED = "tcp://127.0.0.1:5578"
HTTP = "127.0.0.1:8765"
NONE = "none"
FILE_TIMEOUT_S = 60.0
"""Writers close their files seconds after a run; copies over a network take longer."""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser("run", help="the daemon: live documents and results")
    add_deployment_arguments(parser)
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    parser.set_defaults(run=run)


def add_deployment_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a daemon reads, talks to and writes."""
    parser.add_argument(
        "profiles",
        nargs="+",
        metavar="PROFILE",
        help="names in profiles/ or paths; the first that matches a run takes it",
    )
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="URL",
        help="where documents come from: zmq://host:port, handover://host:port (listens "
        "there), tiled+http://host:port/path, databroker:NAME, a JSON-lines file or -; "
        "may be given several times",
    )
    add_pickle_argument(parser)
    parser.add_argument(
        "--feed", default=FEED, help=f"address of the feed, or none (default {FEED})"
    )
    parser.add_argument(
        "--http", default=HTTP, help=f"address of the page, or none (default {HTTP})"
    )
    add_result_arguments(parser)
    add_file_arguments(parser)
    parser.add_argument(
        "--backfill",
        metavar="URL",
        help="where stored runs are; those without a result are read again at start",
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=state_folder(),
        metavar="DIR",
        help="folder of the result log (default %(default)s)",
    )


def add_pickle_argument(parser: argparse.ArgumentParser) -> None:
    """Add what lets a 0MQ source send pickle."""
    parser.add_argument(
        "--allow-pickle",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="open pickle from this 0MQ source (host:port); whoever reaches that "
        "address may be able to run code here; may be given several times",
    )


def add_result_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` and `replay` have in common."""
    parser.add_argument(
        "--results",
        metavar="URL",
        help="Tiled server for results, http://host:port[/path]; its key is read from "
        "XASNN_TILED_API_KEY",
    )
    parser.add_argument(
        "--reference",
        metavar="FILE",
        help="foil of this beamtime: columns energy and mu (or i0 and it); FILE#column "
        "chooses the column",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a key of the profiles; may be given several times",
    )


def add_file_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which files documents may refer to, and how long they are waited for."""
    parser.add_argument(
        "--data-root",
        action="append",
        default=[],
        metavar="[OLD=]DIR",
        help="read files that documents refer to below this folder, and no others; "
        "with OLD, the folder documents call OLD is DIR here; may be given several "
        "times",
    )
    parser.add_argument(
        "--file-timeout",
        type=_seconds,
        default=FILE_TIMEOUT_S,
        metavar="SECONDS",
        help="how long after the end of a run its files are waited for "
        "(default %(default)g)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the daemon until it is told to stop."""
    from xasnn_stream.telemetry.logging import set_up_logging

    set_up_logging(arguments.log_format)
    from xasnn_stream.assembly.files import Files, data_roots
    from xasnn_stream.daemon import Deployment, serve
    from xasnn_stream.profile import parse_overrides

    roots, renamed = data_roots(arguments.data_root)
    return serve(
        Deployment(
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
            files=Files(roots, renamed, arguments.file_timeout),
        )
    )


def unless_none(address: str) -> str | None:
    """Return an address, None for `none`."""
    return None if address == NONE else address


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def state_folder() -> Path:
    """Return where the daemon keeps its log unless told otherwise."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "xasnn-stream"
