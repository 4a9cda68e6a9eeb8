"""`xasnn-stream library`: what training libraries hold, how good they are, making them."""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xasnn_stream.cli.library_build import register_build

if TYPE_CHECKING:
    from xasnn_stream.libraries.foil_fit import FoilFit, Theory
    from xasnn_stream.library import Contents


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "library",
        help="show, check and build training libraries",
        description="Training libraries: computed spectra of single sites, and which "
        "sites make up which particle.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _register_show(actions)
    _register_fit(actions)
    _register_sites(actions)
    register_build(actions)


def _register_show(actions: Any) -> None:
    show = actions.add_parser(
        "show",
        help="counts, ranges and pictures",
        description="What a library holds. A particle is complete where all its sites "
        "have rows.",
    )
    _add_path(show)
    show.add_argument(
        "--plot", type=Path, metavar="DIR", help="draw the spectra into a folder"
    )
    show.add_argument(
        "--foil", metavar="FILE", help="with --plot: the crystal against this foil"
    )
    show.set_defaults(run=run_show)


def _register_fit(actions: Any) -> None:
    fit = actions.add_parser(
        "fit",
        help="theory against measured foils",
        description="Fit shift, broadening, amplitude and slope of the computed crystal "
        "to one foil, and hold the result against others, whose energy axis alone is "
        "free.",
    )
    _add_path(fit)
    fit.add_argument("--foil", metavar="FILE", required=True, help="the foil to fit")
    fit.add_argument(
        "--check", metavar="FILE", nargs="+", default=[], help="foils to check it on"
    )
    fit.add_argument(
        "--stretch", action="store_true", help="let the energy axis stretch as well"
    )
    fit.set_defaults(run=run_fit)


def _register_sites(actions: Any) -> None:
    sites = actions.add_parser(
        "sites",
        help="how many sites can be told apart",
        description="How many sites of a library can be told apart, per lattice scale: "
        "spectra closer than a radius count as one.",
    )
    _add_path(sites)
    sites.add_argument(
        "--radius",
        type=float,
        nargs="+",
        default=[0.002, 0.005, 0.01, 0.02],
        metavar="R",
        help="root mean square difference in units of the edge step",
    )
    sites.set_defaults(run=run_sites)


def _add_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", type=Path, metavar="PATH", help="a library: npz or HDF5, or a folder"
    )
    parser.add_argument("--json", action="store_true", help="JSON lines")


def run_show(arguments: argparse.Namespace) -> int:
    """Print what each library of the path holds, and draw it if asked."""
    from xasnn_stream.errors import UsageError
    from xasnn_stream.libraries.overview import overview
    from xasnn_stream.library import library_files, read_contents

    files = library_files(arguments.path)
    if arguments.foil and (not arguments.plot or len(files) > 1):
        raise UsageError("--foil needs --plot and a path that is one library")
    for file in files:
        contents = read_contents(file)
        found = overview(contents)
        if arguments.json:
            print(json.dumps(found.document(), allow_nan=False), flush=True)
        else:
            print(found.text(), flush=True)
        if arguments.plot:
            from xasnn_stream.libraries.pictures import draw_library

            fit = _fitted(contents, arguments.foil) if arguments.foil else None
            for drawn in draw_library(contents, arguments.plot, fit):
                print(f"{drawn}", file=sys.stderr)
    return 0


def _fitted(contents: "Contents", foil: str) -> "FoilFit":
    from xasnn_stream.libraries.foil_fit import fit_foil, read_measured

    measured = read_measured(foil, contents.element, contents.edge)
    return fit_foil(_theory(contents), measured)


def _theory(contents: "Contents") -> "Theory":
    from xasnn_stream.libraries.theory import bulk

    return partial(bulk, contents)


def run_fit(arguments: argparse.Namespace) -> int:
    """Print the fit to a foil and how well it holds on others."""
    from xasnn_stream.libraries.foil_fit import check_foil, fit_foil, read_measured
    from xasnn_stream.library import library_files, read_contents, read_library

    path = arguments.path
    if path.is_dir() and len(library_files(path)) > 1:
        read_library(path)  # says which there are
    contents = read_contents(library_files(path)[0])
    theory = _theory(contents)
    of = (contents.element, contents.edge)
    fitted = fit_foil(theory, read_measured(arguments.foil, *of), arguments.stretch)
    _print_fit("fitted", fitted, arguments.json)
    for path in arguments.check:
        foil = read_measured(path, *of)
        checked = check_foil(theory, foil, fitted.correction)
        _print_fit("checked", checked, arguments.json)
    return 0


def _print_fit(how: str, fit: "FoilFit", as_json: bool) -> None:
    if as_json:
        print(json.dumps({"how": how, **fit.document()}, allow_nan=False), flush=True)
        return
    done = fit.correction
    stretch = f", stretch {done.stretch:.3f}" if done.stretch != 1.0 else ""
    print(
        f"{how:8s} {fit.foil}: R {fit.r_factor:.4f}, rms {fit.rms:.4f}, "
        f"shift {done.shift_ev:+.2f} eV\n"
        f"         broadening {done.gaussian_ev:.2f} eV Gaussian, {done.lorentzian_ev:.2f} "
        f"eV Lorentzian, amplitude {done.amplitude:.4f}, "
        f"slope {done.slope_per_100ev:+.4f}/100 eV{stretch}",
        flush=True,
    )


def run_sites(arguments: argparse.Namespace) -> int:
    """Print how many sites are left at every radius."""
    from xasnn_stream.errors import UsageError
    from xasnn_stream.libraries.unique_sites import sensitive_sites
    from xasnn_stream.library import read_library

    if min(arguments.radius) < 0:
        raise UsageError("--radius: a difference is not negative")
    library = read_library(arguments.path)
    for scale in library.scales:
        rows = library.rows(scale)
        mu = library.mu[list(rows.values())]
        for radius in arguments.radius:
            found = sensitive_sites(mu, radius)
            names = list(rows)
            row = {
                "scale": scale,
                "sites": len(rows),
                "radius": radius,
                "distinct": len(found.chosen),
                "largest_distance": float(found.distance.max()),
                "chosen": [names[i] for i in found.chosen],
            }
            print(json.dumps(row) if arguments.json else _told(row), flush=True)
    return 0


def _told(row: dict[str, Any]) -> str:
    return (
        f"scale {row['scale']:<6g} radius {row['radius']:<6g} {row['distinct']:4d} of "
        f"{row['sites']} sites differ by more"
    )
