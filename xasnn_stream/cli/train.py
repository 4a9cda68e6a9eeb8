"""`xasnn-stream train`: repeat a model from its recipe."""

import argparse
import sys
from pathlib import Path


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "train",
        help="train a model from its recipe",
        description="Train the model of a recipe and write its folder.",
    )
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="a recipe.yaml")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder to write (the recipe's own)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train; progress goes to a terminal only."""
    from xasnn_stream.manifest import MANIFEST
    from xasnn_stream.training.build import train
    from xasnn_stream.training.parts import train_parts
    from xasnn_stream.training.recipe import recipe_parts

    output = arguments.output or arguments.recipe.parent
    build = train_parts if recipe_parts(arguments.recipe) else train
    folder = build(arguments.recipe, output, _progress)
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    sys.stdout.write(f"{folder / MANIFEST}\n{folder / 'card.md'}\n")
    return 0


def _progress(stage: str, share: float) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{stage:12s} {share:5.0%}")
        sys.stderr.flush()
