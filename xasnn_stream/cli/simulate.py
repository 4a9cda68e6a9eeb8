"""`xasnn-stream simulate`: documents of a beamline's shape, with known truth."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xasnn_stream.errors import UsageError
from xasnn_stream.simulation.documents import SHAPES

if TYPE_CHECKING:
    from xasnn_stream.simulation.documents.truth import Documents, Generated, Truth

STDOUT = "-"
DOCUMENTS, STORED, TRUTH = "documents.jsonl", "stored.jsonl", "truth.json"


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "simulate",
        help="make documents of a beamline's shape, with known truth",
        description=(
            f"Writes {DOCUMENTS}, which replay reads, the files that documents refer "
            f"to, and {TRUTH}: every sweep's direction, conditions and absorption, and "
            "what shall come of it. A shape has the name of its profile."
        ),
    )
    parser.add_argument(
        "shape", metavar="SHAPE", choices=tuple(SHAPES), help=", ".join(SHAPES)
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="a folder to make; - for documents on standard output, without files",
    )
    parser.add_argument(
        "--sweeps", type=int, default=4, metavar="N", help="up and down in turn (4)"
    )
    parser.add_argument("--element", default="Pt", help="Pt, Pd or Au (Pt)")
    parser.add_argument(
        "--mode", choices=("transmission", "fluorescence"), default="transmission"
    )
    parser.add_argument(
        "--noise",
        type=float,
        default=None,
        metavar="RMS",
        help="of every reading, relative (2e-05)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the noise (0)")
    parser.add_argument(
        "--fault",
        metavar="NAME",
        help=f"spoil them; {STORED} then holds what an archive would",
    )
    parser.add_argument(
        "--faults", action="store_true", help="list what --fault can do to the shape"
    )
    parser.set_defaults(run=simulate)


def simulate(arguments: argparse.Namespace) -> int:
    """Make the documents and write them; what was made goes to standard error."""
    from xasnn_stream.simulation.documents.faults import FAULTS

    if arguments.faults:
        for name, fault in FAULTS.items():
            if arguments.shape in fault.shapes:
                print(f"{name}: {fault.text}")
        return 0
    if not arguments.output:
        raise UsageError("where to? name a folder with --output, - for standard output")
    if arguments.output == STDOUT:
        return _print(arguments)
    folder = _new_folder(arguments.output)
    generated = _made(arguments, folder)
    documents, expected = _spoilt(arguments, generated)
    if documents is not generated.documents:
        _write(folder / STORED, generated.documents)
    _write(folder / DOCUMENTS, documents)
    truth = [
        _as_json(sweep, *outcome)
        for sweep, outcome in zip(generated.truth, expected, strict=True)
    ]
    (folder / TRUTH).write_text(json.dumps(truth) + "\n")
    files = f", {len(generated.files)} files" if generated.files else ""
    counts = f"{len(documents)} documents, {len(truth)} sweeps{files}"
    print(f"{arguments.shape}: {counts} in {folder}", file=sys.stderr)
    return 0


def _spoilt(
    arguments: argparse.Namespace, generated: "Generated"
) -> tuple["Documents", list[tuple[str, str]]]:
    """Return the documents, with the fault if asked for, and every sweep's outcome."""
    from xasnn_stream.simulation.documents.faults import FAULTS, spoil

    if not arguments.fault:
        return generated.documents, [("measured", "")] * len(generated.truth)
    spoilt = spoil(arguments.fault, arguments.shape, generated)
    for path, hidden in spoilt.late.items():
        print(f"{path} comes late: rename {hidden}", file=sys.stderr)
    fault = FAULTS[arguments.fault]
    sweeps = [(truth.run, truth.sweep) for truth in generated.truth]
    return spoilt.documents, [fault.expected(spoilt, sweep) for sweep in sweeps]


def _print(arguments: argparse.Namespace) -> int:
    """Write documents that need no files to standard output."""
    from tempfile import TemporaryDirectory

    from xasnn_stream.sources.codec import encode_line

    with TemporaryDirectory() as folder:
        generated = _made(arguments, Path(folder))
    if generated.files:
        raise UsageError(
            f"documents of {arguments.shape} refer to files: name a folder with --output"
        )
    for name, doc in _spoilt(arguments, generated)[0]:
        sys.stdout.buffer.write(encode_line(name, doc))
    sys.stdout.buffer.flush()
    return 0


def _made(arguments: argparse.Namespace, folder: Path) -> "Generated":
    from xasnn_stream.simulation.documents.shapes import generate
    from xasnn_stream.simulation.documents.truth import NOISE

    noise = NOISE if arguments.noise is None else arguments.noise
    if not 0 <= noise < 1:
        raise UsageError(f"--noise {noise:g}: a share of the reading, from 0 to 1")

    return generate(
        arguments.shape,
        directory=folder,
        seed=arguments.seed,
        sweeps=arguments.sweeps,
        element=arguments.element,
        mode=arguments.mode,
        noise=noise,
    )


def _new_folder(name: str) -> Path:
    # Resolved: documents name their files in full.
    folder = Path(name).resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{name} is there already; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write(path: Path, documents: "Documents") -> None:
    from xasnn_stream.sources.codec import encode_line

    path.write_bytes(b"".join(encode_line(name, doc) for name, doc in documents))


def _as_json(truth: "Truth", outcome: str, reason: str) -> dict[str, Any]:
    return {
        "run": truth.run,
        "sweep": truth.sweep,
        "direction": truth.direction,
        "mode": truth.mode,
        "conditions": dict(truth.conditions),
        "expected": {"outcome": outcome, "reason": reason},
        "energy_ev": truth.energy_ev.tolist(),
        "mu": truth.mu.tolist(),
        "mu_reference": truth.mu_reference.tolist(),
    }
