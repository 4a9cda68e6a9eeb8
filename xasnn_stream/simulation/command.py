"""The simulation's own command line: where documents of a beamline are wanted alone."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bluesky.run_engine import RunEngine

from xasnn_stream.errors import XasnnError, exit_code
from xasnn_stream.library import read_library
from xasnn_stream.simulation.beamline import Beamline, seeded
from xasnn_stream.simulation.experiment import experiment, run_plan
from xasnn_stream.simulation.foil import measure_foil
from xasnn_stream.simulation.measured import measured_table
from xasnn_stream.simulation.plans import Plan
from xasnn_stream.simulation.playback import playback, read_recording
from xasnn_stream.simulation.story import held_out_particles, tell


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `sim-step`, `playback` or `measured`; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except XasnnError as error:
        print(error, file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        return 130
    return 0


def _publish(options: argparse.Namespace) -> None:
    with experiment(publish=options.publish, record=options.record) as engine:
        for plan in options.plans(options, engine):
            run_plan(engine, plan)


def _measured(options: argparse.Namespace) -> None:
    print("\n".join(measured_table(options.data)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m xasnn_stream.simulation",
        description="Publish the documents of a simulated or recorded beamline.",
    )
    parser.add_argument("--publish", metavar="HOST:PORT", help="in-address of a proxy")
    parser.add_argument("--record", type=Path, metavar="FILE.jsonl")
    shapes = parser.add_subparsers(required=True)
    step = shapes.add_parser("sim-step", help="the series of sintering Pt particles")
    step.add_argument("--library", type=Path, required=True, metavar="FILE.npz")
    step.add_argument("--model", type=Path, required=True, metavar="DIR")
    step.add_argument("--scans", type=int, default=40)
    step.add_argument("--seed", type=int, default=1)
    step.add_argument("--foil", type=Path, metavar="FILE", help="measure a foil first")
    step.set_defaults(run=_publish, plans=_series)
    files = shapes.add_parser("playback", help="measured files, counts as they are")
    files.add_argument("files", nargs="+", type=Path, metavar="FILE")
    files.add_argument(
        "--as",
        dest="columns",
        metavar="CHANNEL=COLUMN,…",
        type=_columns,
        help="which column each of i0, it, ir is; i0=it,it=ir plays the foil",
    )
    files.add_argument("--element")
    files.add_argument("--edge")
    files.add_argument("--sample")
    files.set_defaults(run=_publish, plans=_files)
    table = shapes.add_parser(
        "measured", help="the README's table of measured spectra, as Markdown"
    )
    table.add_argument("--data", type=Path, required=True, metavar="DIR")
    table.set_defaults(run=_measured)
    return parser


def _columns(text: str) -> dict[str, str]:
    pairs = [part.split("=") for part in text.split(",")]
    if any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is not CHANNEL=COLUMN,…")
    return dict(pairs)


def _series(options: argparse.Namespace, engine: RunEngine) -> Iterator[Plan]:
    library = read_library(options.library)
    draws = seeded(options.seed)
    beamline = Beamline(library, draws)
    if options.foil:
        measure_foil(engine, beamline, options.foil)
    particles = held_out_particles(options.model)
    for chapter in tell(library, particles, options.scans, draws.story):
        yield beamline.sweep(chapter)


def _files(options: argparse.Namespace, engine: RunEngine) -> Iterator[Plan]:
    del engine
    for path in options.files:
        yield playback(
            read_recording(path, options.columns),
            element=options.element,
            edge=options.edge,
            sample=options.sample,
        )
