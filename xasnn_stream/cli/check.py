"""`xasnn-stream check`: all mistakes of a profile at once."""

import argparse


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "check", help="list all mistakes of a profile at once"
    )
    parser.add_argument(
        "profile", help="a name in profiles/ or the path of a YAML file"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="check with a key of the profile changed; may be given several times",
    )
    parser.set_defaults(run=check)


def check(arguments: argparse.Namespace) -> int:
    """Print OK, or every mistake on a line of its own; 2 if there are any."""
    from xasnn_stream.profile import check_profile, parse_overrides

    mistakes = check_profile(arguments.profile, parse_overrides(arguments.set))
    for mistake in mistakes:
        print(f"{arguments.profile}: {mistake}")
    if not mistakes:
        print(f"{arguments.profile}: OK")
    return 2 if mistakes else 0
