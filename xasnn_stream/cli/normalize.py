"""`xasnn-stream normalize`: measured files to normalized μ, χ(k) and χ(R)."""

import argparse
import json
import math
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from xasnn_stream.cli.scan_options import add_scan_options
from xasnn_stream.physics.settings import WINDOWS, Denoising

if TYPE_CHECKING:
    from xasnn_stream.reduction.normalize_files import Request
    from xasnn_stream.reduction.normalized_scan import NormalizedScan

_NORMALIZATION: Mapping[str, str] = {
    "e0": "edge energy, eV (default: found)",
    "pre1": "low end of the pre-edge line, eV from e0",
    "pre2": "high end of the pre-edge line",
    "norm1": "low end of the post-edge polynomial",
    "norm2": "high end of the post-edge polynomial",
    "nnorm": "degree of the post-edge polynomial, 0 to 3",
    "nvict": "power of the energy the pre-edge line is multiplied with",
}
_BACKGROUND: Mapping[str, str] = {
    "rbkg": "background below this R, angstrom",
    "nknots": "knots of the background's spline",
    "bkg_kmin": "k the background starts at, 1/angstrom",
    "bkg_kmax": "k the background ends at",
    "nclamp": "points of χ(k) held to zero at either end",
    "clamp_lo": "weight of that at the low end",
    "clamp_hi": "weight of that at the high end",
}
_TRANSFORM: Mapping[str, str] = {
    "kweight": "power of k, of background and transform (default: 1 and 2)",
    "kmin": "low end of the transform, 1/angstrom",
    "kmax": "high end of the transform",
    "dk": "width of the window's sills",
    "rmax": "χ(R) up to this R, angstrom",
}
_WHOLE = {"nnorm", "nvict", "nknots", "nclamp", "kweight"}
_FIELDS = {"bkg_kmin": "kmin", "bkg_kmax": "kmax", "rmax": "rmax_out"}
"""Names of settings where an option is called otherwise."""

_FILE_WIDTH, _SCAN_WIDTH, _FEW = 28, 16, 3


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "normalize",
        help="measured files to normalized μ, χ(k) and χ(R)",
        description="Normalization, background and Fourier transform of measured files, "
        "any element, with larch's parameters and defaults. Exit code 2 if any scan is "
        "unusable.",
    )
    add_scan_options(parser)
    for title, options in (
        ("normalization", _NORMALIZATION),
        ("background", _BACKGROUND),
        ("transform", _TRANSFORM),
    ):
        group = parser.add_argument_group(title)
        for name, text in options.items():
            kind = int if name in _WHOLE else _finite
            flag = "--" + name.replace("_", "-")
            group.add_argument(flag, type=kind, metavar="N", help=text)
    group.add_argument("--window", choices=WINDOWS, help="window of the transform")
    _add_cleaning(parser.add_argument_group("cleaning"))
    _add_output(parser.add_argument_group("output"))
    parser.set_defaults(run=run)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is no finite number")
    return value


def _add_cleaning(group: Any) -> None:
    group.add_argument(
        "--others",
        type=lambda text: tuple(text.split(",")),
        default=(),
        metavar="E,…",
        help="other elements of the sample: ranges end before their edges",
    )
    group.add_argument(
        "--deglitch",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="leave out points that leave the curve (default)",
    )
    group.add_argument(
        "--jumps",
        choices=("refuse", "repair", "keep"),
        default="refuse",
        help="what is done about jumps of more than 10 %% of the edge step",
    )
    group.add_argument(
        "--rebin", action="store_true", help="rebin as larch's rebin_xafs"
    )
    group.add_argument(
        "--denoise", choices=get_args(Denoising), default="none", help="smooth μ first"
    )
    group.add_argument(
        "--foil",
        metavar="FILE",
        help="standard that reference channels are compared with, FILE#column or "
        "FILE#scan (default: the tabulated edge)",
    )
    group.add_argument(
        "--align",
        action="store_true",
        help="take the shift of the energy axis off, which is told anyway",
    )
    group.add_argument(
        "--merge", action="store_true", help="merge all scans, as repeats of one"
    )


def _add_output(group: Any) -> None:
    group.add_argument("--json", action="store_true", help="a JSON line per scan")
    group.add_argument(
        "--arrays", action="store_true", help="with the curves in the JSON lines"
    )
    group.add_argument(
        "--output", type=Path, metavar="DIR", help="write the curves into a folder"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a line per scan; what is unusable is told on standard error."""
    from xasnn_stream.allocator import keep_freed_memory
    from xasnn_stream.errors import WRONG_USAGE
    from xasnn_stream.reduction.normalize_files import Failure, normalize_files
    from xasnn_stream.reduction.write_normalized import Writer

    keep_freed_memory()
    found = normalize_files(_request(arguments))
    writer = Writer(arguments.output) if arguments.output else None
    width = min(_FILE_WIDTH, max(len(file.name) for file in arguments.files))
    failed, head = False, [_row(_cut("file", width), "scan", "edge", _HEAD, "flags")]
    for scan in found:
        text = scan.text if isinstance(scan, Failure) else _refusal(scan)
        if text:
            print(f"xasnn-stream: {text}", file=sys.stderr, flush=True)
            failed = True
        if isinstance(scan, Failure):
            continue
        if arguments.json:
            line = json.dumps(scan.document(arguments.arrays), allow_nan=False)
            print(line, flush=True)
        elif not text:
            print("\n".join(head + _lines(scan, width)), flush=True)
            head = []
        if writer is not None and not text:
            writer.write(scan)
    return WRONG_USAGE if failed else 0


def _request(arguments: argparse.Namespace) -> "Request":
    from xasnn_stream.engine.foil import read_foil
    from xasnn_stream.physics.settings import (
        Background,
        Normalization,
        Reduction,
        Transform,
    )
    from xasnn_stream.reduction.normalize_files import Cleaning, Request

    background = _given(arguments, (*_BACKGROUND, "kweight"))
    return Request(
        files=tuple(arguments.files),
        settings=Reduction(
            Normalization(**_given(arguments, _NORMALIZATION)),
            Background(**background),
            Transform(**_given(arguments, (*_TRANSFORM, "window"))),
        ),
        cleaning=Cleaning(
            others=arguments.others,
            deglitch=arguments.deglitch,
            jumps=arguments.jumps,
            rebin=arguments.rebin,
            denoise=arguments.denoise,
            align=arguments.align,
            merge=arguments.merge,
        ),
        element=arguments.element,
        edge=arguments.edge,
        mode=arguments.mode,
        columns=arguments.columns,
        foil=read_foil(arguments.foil) if arguments.foil else None,
        with_chi_std=arguments.arrays or arguments.output is not None,
    )


def _given(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Return the settings that were given, by the names of their fields."""
    found = ((_FIELDS.get(name, name), getattr(arguments, name)) for name in names)
    return {field: value for field, value in found if value is not None}


def _refusal(scan: "NormalizedScan") -> str:
    """Return the sentence about an unusable scan, "" if it is usable."""
    if scan.problem is None:
        return ""
    of_scan = f" (scan {scan.scan})" if scan.scan else ""
    return f"{scan.file}: {scan.problem.text}{of_scan}"


_HEAD = ("e0 / eV", "step", "noise", "k max")


def _lines(scan: "NormalizedScan", width: int) -> list[str]:
    quality = scan.quality
    cells = (
        _number(quality["e0_ev"], ".2f"),
        _with_error(quality["edge_step"], quality["edge_step_std"]),
        _number(quality["noise"], ".5f"),
        _number(quality["k_max"], ".2f"),
    )
    flags = ", ".join(flag.code for flag in scan.flags) or "-"
    file = _cut(scan.file.name, width)
    sentences = [flag.text for flag in scan.flags] + list(scan.notes)
    row = _row(file, scan.scan or "-", scan.edge or "-", cells, flags)
    return [row, *(f"    {text}" for text in sentences)]


def _row(file: str, scan: str, edge: str, cells: tuple[str, ...], flags: str) -> str:
    e0, step, noise, k_max = cells
    row = f"{file}  {_cut(scan, _SCAN_WIDTH)}  {edge:<5}  "
    return row + f"{e0:>9}  {step:<18}  {noise:>8}  {k_max:>5}  {flags}"


def _with_error(value: float, std: float) -> str:
    """Return a value with its standard deviation, to the digits that makes sense."""
    if not std > 0:
        return _number(value, ".4g")
    digits = max(0, -int(f"{std:.1e}".split("e")[1]) + 1)
    return f"{value:.{digits}f} ± {std:.{digits}f}"


def _number(value: float, form: str) -> str:
    return f"{value:{form}}" if value == value else "-"


def _cut(text: str, width: int) -> str:
    short = text if len(text) <= width else text[: width - 1] + "…"
    return f"{short:<{width}}"
