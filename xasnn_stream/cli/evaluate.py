"""`xasnn-stream evaluate`: metrics of a model on particles it never saw."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "evaluate",
        help="metrics of a model on held-out particles",
        description="Evaluate a model on its held-out split or on another library.",
    )
    parser.add_argument("model", metavar="MODEL", help="a shipped name or a folder")
    parser.add_argument(
        "--library", type=Path, metavar="PATH", help="evaluate all particles of it"
    )
    parser.add_argument("--json", action="store_true", help="JSON lines")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one row per condition and shape class."""
    from xasnn_stream.engine.model import load_model
    from xasnn_stream.shipped import model_folder
    from xasnn_stream.training.evaluation import evaluate_folder

    folder = model_folder(arguments.model)
    for row in evaluate_folder(load_model(folder), folder, arguments.library):
        line = json.dumps(row) if arguments.json else _readable(row)
        sys.stdout.write(line + "\n")
    return 0


def _readable(row: dict[str, Any]) -> str:
    ridge = row["baseline"]["ridge"]
    cells = [
        f"{name} {row['mae'][name]:.3f} (ridge {ridge['mae'][name]:.3f}, "
        f"covered {row['coverage']['0.9'][name]:.0%}, width {row['width90'][name]:.2f})"
        for name in row["mae"]
    ]
    title = f"{row['condition']:6s} {row['shapes']:12s} n={row['n']:<5d}"
    bulk = f"MAE/bulk {row['mae_over_bulk']:.2%} (ridge {ridge['mae_over_bulk']:.2%})"
    return "  ".join([title, *cells, bulk])
