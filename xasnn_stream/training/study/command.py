"""The study's own command line: `study.json`, tables and pictures into a folder."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from xasnn_stream.errors import XasnnError, exit_code
from xasnn_stream.manifest import RECIPE
from xasnn_stream.networks.architectures import ARCHITECTURES
from xasnn_stream.shipped import model_folder
from xasnn_stream.training.recipe import Fit, read_recipe
from xasnn_stream.training.study.arms import ARMS
from xasnn_stream.training.study.figures import draw_toy, draw_transfer
from xasnn_stream.training.study.report import report
from xasnn_stream.training.study.toy import toy
from xasnn_stream.training.study.transfer import Sources, transfer

SCHEMA = "xasnn.study/1"
_MODEL = "pt-l3-xanes"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        run(options.output, Sources(options.theory, options.data), options.quick)
    except XasnnError as error:
        print(error, file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        return 130
    return 0


def run(output: Path, sources: Sources, quick: bool) -> None:
    """Run every part, write `study.json`, `toy.png`, `transfer.png`; print the tables.

    Raises
    ------
    XasnnError
        If a library or a measured spectrum cannot be read.
    """
    recipe = read_recipe(model_folder(_MODEL) / RECIPE)
    output.mkdir(parents=True, exist_ok=True)
    spectra = replace(recipe, fit=_sizes(recipe.fit, quick))
    arms = list(transfer(ARMS, spectra, sources, _told))
    names = list(ARCHITECTURES)
    curves = list(toy(names, _toy_sizes(recipe.fit, quick), recipe.seed, _told))
    document = {"schema": SCHEMA, "quick": quick, "toy": curves, "arms": arms}
    text = json.dumps(document, indent=1, allow_nan=False)
    (output / "study.json").write_text(text + "\n")
    draw_toy(curves, output / "toy.png")
    draw_transfer(arms, output / "transfer.png")
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    print(report(curves, arms))


def _toy_sizes(fit: Fit, quick: bool) -> Fit:
    sizes = replace(fit, members=5, hidden=64, depth=2, batch=128)
    return replace(sizes, pool=20000, steps=1200) if not quick else _quick(sizes)


def _sizes(fit: Fit, quick: bool) -> Fit:
    sizes = replace(fit, members=6, hidden=128, depth=2, batch=256)
    return replace(sizes, pool=30000, steps=1200) if not quick else _quick(sizes)


def _quick(sizes: Fit) -> Fit:
    """Too small to learn much: whether everything runs is all it tells."""
    return replace(sizes, pool=1500, steps=20, batch=32, hidden=16)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m xasnn_stream.training.study",
        description="Which architecture and which input carry over: toy curves, another "
        "theory, measured spectra.",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--theory",
        type=Path,
        metavar="FILE.npz",
        help="a library of the same edge computed otherwise (default: left out)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="measured Pt spectra with their EXAFS fits (default: left out)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="small pools and few steps: a trial run"
    )
    return parser


def _told(what: str, share: float) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{what:24s} {share:5.0%}")
        sys.stderr.flush()
