"""Options of every command that reads measured files: which signal, of which edge."""

import argparse
from pathlib import Path

_ROLES = ("energy", "i0", "it", "if", "ir", "mu", "mu_ref")


def add_scan_options(parser: argparse.ArgumentParser) -> None:
    """Add the files, and what their reader knows better than they do."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--element", metavar="E", help="if the file does not say: Pt")
    parser.add_argument("--edge", metavar="X", help="if the file does not say: L3")
    parser.add_argument(
        "--mode",
        choices=("transmission", "fluorescence"),
        help="if the file has both signals (default: where the edge is clearer)",
    )
    parser.add_argument(
        "--columns",
        type=_columns,
        metavar="ROLE=COLUMN,…",
        help="which column is which, by name or number, summed with +: "
        "energy=1,i0=2,it=3 or energy=1,i0=2,if=5+6+7+8; roles: " + ", ".join(_ROLES),
    )


def _columns(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    chosen = {role.strip().lower(): column.strip() for role, _, column in pairs}
    wrong = [
        role for role, column in chosen.items() if role not in _ROLES or not column
    ]
    if wrong:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not ROLE=COLUMN,… with roles {', '.join(_ROLES)}"
        )
    if "mu_ref" in chosen:
        chosen["mu_reference"] = chosen.pop("mu_ref")
    return chosen
