"""`xasnn-stream evaluate`: metrics of a model on particles it never saw."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_DESCRIPTION = """\
Evaluate a model on particles it held out, alone and mixed with bulk, and on fresh draws
from its training distribution; or on all of another library. Beside every error that of
ridge regression on the same spectra. * marks a descriptor that is not
resolved: cn2 to cn4 follow better from the true cn1, r1 from its mean."""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "evaluate",
        help="metrics of a model on held-out particles",
        description=_DESCRIPTION,
    )
    parser.add_argument("model", metavar="MODEL", help="a shipped name or a folder")
    parser.add_argument(
        "--library", type=Path, metavar="PATH", help="evaluate all particles of it"
    )
    parser.add_argument("--json", action="store_true", help="JSON lines")
    parser.set_defaults(run=run)


_UNMEASURED: dict[str, Any] = {
    name: {}
    for name in (
        "mae",
        "rmse",
        "r2",
        "baseline",
        "coverage",
        "width90",
        "winkler90",
        "novelty_auroc",
    )
}
"""What every line has: a comparison of rows repeats not all they measured."""


def run(arguments: argparse.Namespace) -> int:
    """Print one row per condition and shape class, and the comparison of test sets."""
    split = ""
    for row in _rows(arguments.model, arguments.library):
        if arguments.json:
            lines = [json.dumps(_UNMEASURED | row)]
        elif "sets" in row:
            lines = ["", *_comparison(row)]
        elif "before" in row:
            lines = ["", *_recalibrated(row)]
        else:
            title = "" if row["split"] == split else f"{row['split']}"
            lines = ["", title, _readable(row)] if title else [_readable(row)]
        split = row["split"]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
    return 0


def _rows(name: str, library: Path | None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a model, of each edge it reads unless one is named."""
    from xasnn_stream.engine.model import load_model
    from xasnn_stream.manifest import read_part, read_parts
    from xasnn_stream.shipped import model_part
    from xasnn_stream.training.alloy_samples import evaluate_alloy_folder
    from xasnn_stream.training.evaluation import evaluate_folder

    folder, part = model_part(name)
    for manifest in [read_part(folder, part)] if part else read_parts(folder):
        model = load_model(folder, part=manifest.part)
        if manifest.part:
            yield from evaluate_alloy_folder(model, folder, manifest.part, library)
        else:
            yield from evaluate_folder(model, folder, library)


def _readable(row: dict[str, Any]) -> str:
    ridge, known = row["baseline"]["ridge"], row.get("resolved", {})
    cells = [
        f"{name}{'' if known.get(name, True) else '*'} {row['mae'][name]:.3f} "
        f"(ridge {ridge['mae'][name]:.3f}, covered {row['coverage']['0.9'][name]:.0%}, "
        f"width {row['width90'][name]:.2f})"
        for name in row["mae"]
    ]
    title = (
        f"  {row['condition']:8s} {row['shapes']:12s} particles {row['n_particles']:<3d} "
        f"n={row['n']:<5d}"
    )
    if "mae_over_bulk" in row:
        cells.append(
            f"MAE/bulk {row['mae_over_bulk']:.2%} (ridge {ridge['mae_over_bulk']:.2%})"
        )
    return "  ".join([title, *cells])


def _recalibrated(row: dict[str, Any]) -> Iterator[str]:
    """Yield coverage and width before and after, a line per descriptor."""
    yield (
        f"Recalibrated on {row['known_spectra']} spectra of {row['known_particles']} "
        f"particles, measured on the other {row['n_particles'] - row['known_particles']}"
        f", at N1, mean of {row['repeats']} choices: coverage (before)"
    )
    before = row["before"]
    for name in row["mae"]:
        cells = [
            f"{float(level):.0%}: {covered[name]:.1%} "
            f"({before['coverage'][level][name]:.1%})"
            for level, covered in row["coverage"].items()
        ]
        cells += [
            f"width {row['width90'][name]:.3g} ({before['width90'][name]:.3g})",
            f"one choice ±{row['coverage_spread'][name] * 100:.0f} points at 90%",
        ]
        yield f"  {name:10s} " + "  ".join(cells)


def _comparison(row: dict[str, Any]) -> Iterator[str]:
    """Yield the table of test sets, their mean and the spread between them."""
    names = list(row["mae"])
    yield "Test sets: MAE (coverage of the 90 % interval)"
    yield f"  {'':42s} {'particles':>9s} " + " ".join(f"{n:>13s}" for n in names)
    for one in row["sets"]:
        title = f"{one['split']}, {one['condition']}, {one['shapes']}"
        if "library" in one:
            title = f"{one['library']} {title}"
        yield _set_line(title, one["n_particles"], one["mae"], one["coverage"])
    yield _set_line("mean", "", row["mae"], row["coverage"]["0.9"])
    spread = row["spread"]
    yield _set_line("spread", "", spread["mae"], spread["coverage"]["0.9"])


def _set_line(
    title: str, particles: object, mae: dict[str, float], covered: dict[str, float]
) -> str:
    cells = (f"{mae[name]:7.3f} ({covered[name]:4.0%})" for name in mae)
    return f"  {title:42s} {particles!s:>9s} " + " ".join(f"{c:>13s}" for c in cells)
