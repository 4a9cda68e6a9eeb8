"""`xasnn-stream analyze`: measured files to estimates."""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from xasnn_stream.cli.line import joint_text
from xasnn_stream.cli.scan_options import add_scan_options
from xasnn_stream.wording import heading, with_interval

if TYPE_CHECKING:
    from xasnn_stream.analysis.analyze import Result
    from xasnn_stream.analysis.joint import Both

_FILE_WIDTH, _SCAN_WIDTH, _CELL_WIDTH = 28, 16, 17


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "analyze",
        help="measured files to estimates",
        description="Estimates from measured files: XDI, column text, CSV, SPEC, Athena "
        ".prj, HDF5/NeXus, numpy; gzipped or not. Exit code 2 if any scan has none.",
    )
    add_scan_options(parser)
    parser.add_argument(
        "--foil",
        action="append",
        default=[],
        metavar="FILE",
        help="reference foil of the same beamtime, any format; FILE#column or FILE#scan "
        "picks one; again for another edge. Without it a scan's own reference channel "
        "serves, else a computed foil",
    )
    parser.add_argument(
        "--model", metavar="NAME", help="a shipped model or a folder (default: by edge)"
    )
    parser.add_argument(
        "--composition",
        metavar="A0.4B0.6",
        help="atoms of each element, for a model that reads both edges of an alloy: its "
        "numbers of both edges are made to agree with it",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="one estimate per line (xasnn.estimate/1), then one per alloy "
        "(xasnn.bimetallic/1)",
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="OUT.png",
        help="a figure per scan: OUT.png, OUT-2.png, …",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print an estimate per scan; what has none is told on standard error."""
    from xasnn_stream.analysis.analyze import Request, Result, analyze
    from xasnn_stream.analysis.joint import Both
    from xasnn_stream.errors import WRONG_USAGE

    if arguments.plot:
        from xasnn_stream.analysis.figure import check_target

        check_target(arguments.plot)
    request = Request(
        files=tuple(arguments.files),
        foils=tuple(arguments.foil),
        model=arguments.model,
        element=arguments.element,
        edge=arguments.edge,
        mode=arguments.mode,
        columns=arguments.columns,
    )
    width = min(_FILE_WIDTH, max(len(file.name) for file in arguments.files))
    both = Both(arguments.model, arguments.composition)
    failed, drawn, head = False, 0, ""
    for found in analyze(request):
        if not isinstance(found, Result):
            print(f"xasnn-stream: {found.text}", file=sys.stderr, flush=True)
            failed = True
            continue
        both.add(found)
        if arguments.json:
            print(json.dumps(found.estimate.document(), allow_nan=False), flush=True)
        else:
            lines, head = _lines(found, head, width)
            print("\n".join(lines), flush=True)
        if arguments.plot:
            drawn += 1
            _draw(found, arguments.plot, drawn)
    failed |= not _print_joint(both, arguments.json)
    return WRONG_USAGE if failed else 0


def _print_joint(both: "Both", as_json: bool) -> bool:
    """Print what both edges of an alloy say together; return whether all went well."""
    well = True
    for joint in both.joined():
        if isinstance(joint, str):
            print(f"xasnn-stream: {joint}", file=sys.stderr, flush=True)
            well = False
        elif as_json:
            print(json.dumps(joint.document(), allow_nan=False), flush=True)
        else:
            print("\n".join(joint_text(joint.document())), flush=True)
    return well


def _draw(result: "Result", path: Path, number: int) -> None:
    from xasnn_stream.analysis.figure import draw

    suffix = "" if number == 1 else f"-{number}"
    draw(result, path.with_stem(path.stem + suffix))


def _lines(result: "Result", previous: str, width: int) -> tuple[list[str], str]:
    """Return the lines of a result, below a head where the columns are new.

    `width` is that of the first column.
    """
    estimate = result.estimate
    descriptors = estimate.document()["descriptors"]
    lines: list[str] = []
    head = previous
    if estimate.descriptors or not previous:
        names = [heading(*item) for item in descriptors.items()]
        head = _row(_cut("file", width), "scan", "verdict", names)
    if head != previous:
        lines.append(head)
    cells = map(with_interval, descriptors.values())
    file = _cut(result.file.name, width)
    lines.append(_row(file, result.scan or "-", estimate.verdict, cells))
    about = f"{estimate.element} {estimate.edge}, model {estimate.provenance.model}"
    if estimate.descriptors:
        about += f", foil: {estimate.provenance.reference or 'computed'}"
    size = [estimate.size.text] if estimate.size else []
    sentences = size + [reason.text for reason in estimate.reasons] + list(result.notes)
    return lines + [f"    {text}" for text in (about, *sentences)], head


def _row(file: str, scan: str, verdict: str, cells: Iterable[str]) -> str:
    row = f"{file}  {_cut(scan, _SCAN_WIDTH)}  {verdict:<8}  "
    return (row + " ".join(f"{cell:<{_CELL_WIDTH}}" for cell in cells)).rstrip()


def _cut(text: str, width: int) -> str:
    short = text if len(text) <= width else text[: width - 1] + "…"
    return f"{short:<{width}}"
