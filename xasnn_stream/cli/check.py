"""`xasnn-stream check`: all mistakes of profiles at once, and the runs two would take."""

import argparse


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "check", help="list all mistakes of profiles at once, and where they overlap"
    )
    parser.add_argument(
        "profiles",
        nargs="*",
        metavar="PROFILE",
        help="names in profiles/ or paths of YAML files (default: all in profiles/)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="check with a key of the profiles changed; may be given several times",
    )
    parser.set_defaults(run=check)


def check(arguments: argparse.Namespace) -> int:
    """Print OK, or every mistake on a line of its own, then overlaps; 2 if mistaken."""
    from xasnn_stream.profile import (
        check_profile,
        load_profile,
        parse_overrides,
        shipped_profiles,
    )
    from xasnn_stream.profile.overlap import overlaps

    overrides = parse_overrides(arguments.set)
    valid = list[str]()
    names = list(dict.fromkeys(arguments.profiles)) or shipped_profiles()
    for name in names:
        mistakes = check_profile(name, overrides)
        for mistake in mistakes:
            print(f"{name}: {mistake}")
        if not mistakes:
            valid.append(name)
            print(f"{name}: OK")
    for overlap in overlaps([load_profile(n, overrides).assembly for n in valid]):
        # Those of different beamlines ask about different things, and never meet.
        if overlap.shared or arguments.profiles:
            print(f"overlap: {overlap}")
    return 0 if len(valid) == len(names) else 2
