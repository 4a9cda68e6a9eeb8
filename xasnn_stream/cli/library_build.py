"""`xasnn-stream library build`: compute a library with FEFF, or collect what is there."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xasnn_stream.libraries.build import Built
    from xasnn_stream.libraries.collect import Spectra
    from xasnn_stream.libraries.feff.paths import ScatteringPath
    from xasnn_stream.libraries.recipe import LibraryRecipe, Plan

_LISTED = 12


def register_build(actions: Any) -> None:
    """Add the action to those of `library`."""
    build = actions.add_parser(
        "build",
        help="compute a library with FEFF",
        description="Compute the sites of a recipe with FEFF and write them as a "
        "library. What is computed already is not computed again.",
    )
    build.add_argument("recipe", type=Path, metavar="RECIPE", help="a YAML file")
    build.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="<Element>_<edge>.h5, or a folder (default: the recipe's own); calculations "
        "lie beside it in .work",
    )
    build.add_argument(
        "--feff",
        metavar="PATH",
        help="the program, or the folder of its modules (default: $XASNN_FEFF, or feff10 "
        "and the like on the PATH)",
    )
    build.add_argument(
        "--timeout",
        type=float,
        default=3600.0,
        metavar="S",
        help="seconds a calculation may take (default: %(default)g)",
    )
    build.add_argument(
        "--collect-only",
        nargs="?",
        const="",
        metavar="DIR",
        help="run nothing: take what is computed, or any feff.inp with xmu.dat below DIR",
    )
    build.add_argument(
        "--paths",
        action="store_true",
        help="scattering paths for EXAFS (feffNNNN.dat) instead of spectra; FEFF8-lite "
        "can compute them",
    )
    build.set_defaults(run=run_build)


def run_build(arguments: argparse.Namespace) -> int:
    """Compute what is missing and write the library."""
    from xasnn_stream.libraries.build import (
        Built,
        Calculator,
        build_paths,
        build_spectra,
    )
    from xasnn_stream.libraries.feff.calculation import working_in
    from xasnn_stream.libraries.feff.program import FOR_PATHS, FOR_XANES, find_program
    from xasnn_stream.libraries.foil_fit import read_measured
    from xasnn_stream.libraries.gather import gather, gather_paths
    from xasnn_stream.libraries.recipe import plan_of, read_library_recipe

    recipe = read_library_recipe(arguments.recipe)
    named = arguments.output or arguments.recipe.parent
    output = _target(named, f"{recipe.element}_{recipe.edge}")
    collecting = arguments.collect_only
    needed = FOR_PATHS if arguments.paths else FOR_XANES
    program = find_program(arguments.feff, needed) if collecting is None else None
    if recipe.foil is not None:
        # Told now, not after hours of computing.
        read_measured(recipe.foil, recipe.element, recipe.edge)
    plan = plan_of(recipe)
    if collecting and arguments.paths:
        paths = Built(gather_paths(recipe, plan, Path(collecting)), ())
        return _write_paths(recipe, plan, paths, output)
    if collecting:
        return _write(recipe, plan, gather(recipe, plan, Path(collecting)), output, ())
    calculator = Calculator(program, arguments.timeout, output.with_suffix(".work"))
    with working_in(calculator.work):
        if arguments.paths:
            paths = build_paths(recipe, plan, calculator, _progress)
            _end_line()
            return _write_paths(recipe, plan, paths, output)
        built = build_spectra(recipe, plan, calculator, _progress)
    _end_line()
    return _write(recipe, plan, built.found, output, built.failures)


def _target(output: Path, name: str) -> Path:
    from xasnn_stream.errors import UsageError
    from xasnn_stream.library.hdf5 import HDF5_ENDINGS

    if output.suffix not in HDF5_ENDINGS:
        output.mkdir(parents=True, exist_ok=True)
        return output / f"{name}{HDF5_ENDINGS[0]}"
    if output.stem != name and not output.stem.startswith(f"{name}_"):
        raise UsageError(f"--output {output}: the name must tell {name}")
    output.parent.mkdir(parents=True, exist_ok=True)
    return output


def _write(
    recipe: "LibraryRecipe",
    plan: "Plan",
    spectra: "Spectra",
    output: Path,
    failures: "tuple[str, ...]",
) -> int:
    from xasnn_stream.libraries.collect import library_fields
    from xasnn_stream.libraries.overview import overview
    from xasnn_stream.library import read_contents, write_library

    write_library(output, *library_fields(recipe, plan, spectra))
    print(overview(read_contents(output)).text(), flush=True)
    return _tell(failures, len(recipe.scales) * len(plan.sites), output)


def _write_paths(
    recipe: "LibraryRecipe",
    plan: "Plan",
    built: "Built[tuple[ScatteringPath, ...]]",
    output: Path,
) -> int:
    from xasnn_stream.errors import LibraryError
    from xasnn_stream.libraries.path_library import write_paths
    from xasnn_stream.library.contents import PATHS_ENDING

    if not built.found:
        raise LibraryError("nothing is computed yet: there are no paths to collect")
    target = output.with_name(f"{output.stem}{PATHS_ENDING}{output.suffix}")
    write_paths(target, recipe, plan, built.found)
    many = sum(len(paths) for paths in built.found.values())
    print(f"{target}: {many} paths of {len(built.found)} sites", flush=True)
    return _tell(built.failures, len(recipe.scales) * len(plan.sites), target)


def _tell(failures: tuple[str, ...], wanted: int, output: Path) -> int:
    from xasnn_stream.errors import FAILED

    for failure in failures[:_LISTED]:
        print(f"xasnn-stream: {failure}", file=sys.stderr)
    if failures:
        print(
            f"xasnn-stream: {len(failures)} of {wanted} sites are missing in {output}; "
            "the same command goes on where it stopped",
            file=sys.stderr,
        )
    return FAILED if failures else 0


def _progress(what: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done}/{total}  {what:40s}")
        sys.stderr.flush()


def _end_line() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\n")
