"""Computing what a recipe asks for, site by site; what is computed stays computed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from xasnn_stream.errors import FeffError
from xasnn_stream.libraries.feff.calculation import Job, MissingError, result_of
from xasnn_stream.libraries.feff.inputs import (
    AFTER_POTENTIALS,
    ALL_MODULES,
    feff_input,
    paths_input,
)
from xasnn_stream.libraries.feff.output import SPECTRUM, Computed, read_spectrum
from xasnn_stream.libraries.feff.paths import PATTERN, ScatteringPath, read_paths
from xasnn_stream.libraries.feff.program import Program
from xasnn_stream.libraries.recipe import LibraryRecipe, Plan, Site, crystal_cluster

Progress = Callable[[str, int, int], None]
"""Called with what is computed, how many sites are done, and of how many."""

T = TypeVar("T")
_PATHS_A = 1.5
"""Lattice constants; paths reach the fourth shell."""

_CRYSTAL = "crystal"


@dataclass(frozen=True, slots=True)
class Calculator:
    """What computes: a program (None: nothing is run), its time, where it works."""

    program: Program | None
    timeout_s: float
    work: Path


@dataclass(frozen=True, slots=True)
class Built(Generic[T]):
    """What was computed by (lattice scale, site), and why the rest is missing."""

    found: dict[tuple[float, str], T]
    failures: tuple[str, ...]


def build_spectra(
    recipe: LibraryRecipe, plan: Plan, calculator: Calculator, progress: Progress
) -> "Built[tuple[Computed, ...]]":
    """Compute the spectra that are not computed yet.

    Raises
    ------
    LibraryError
        If the program ignores multiple scattering: every spectrum would be wrong.
    FeffError
        If the crystal, which all others need, cannot be computed.
    """

    def of_site(scale: float, site: Site) -> tuple[Computed, ...]:
        return tuple(
            result_of(
                job,
                calculator.program,
                calculator.timeout_s,
                lambda folder: read_spectrum(folder / SPECTRUM),
            )
            for job in _jobs(recipe, plan, scale, site, calculator.work / f"{scale:g}")
        )

    return _each(recipe, plan, of_site, progress)


def build_paths(
    recipe: LibraryRecipe, plan: Plan, calculator: Calculator, progress: Progress
) -> Built[tuple[ScatteringPath, ...]]:
    """Compute the scattering paths that are not computed yet; errors as above."""

    def of_site(scale: float, site: Site) -> tuple[ScatteringPath, ...]:
        a = recipe.lattice_a * scale
        title = f"{recipe.element} {recipe.edge} {site.particle} {site.atom} {scale:g}"
        atoms = site.seen.positions * a
        text = paths_input(title, recipe.element, recipe.edge, atoms, _PATHS_A * a)
        job = Job(calculator.work / f"{scale:g}" / f"{site.name}-paths", text, PATTERN)
        return result_of(job, calculator.program, calculator.timeout_s, read_paths)

    return _each(recipe, plan, of_site, progress)


def _each(
    recipe: LibraryRecipe,
    plan: Plan,
    of_site: Callable[[float, Site], T],
    progress: Progress,
) -> Built[T]:
    """Compute every site at every scale; go on where one fails."""
    found: dict[tuple[float, str], T] = {}
    failures: list[str] = []
    wanted = [(s, site) for s in recipe.scales for site in plan.sites.values()]
    for done, (scale, site) in enumerate(wanted):
        name = f"scale {scale:g}, {site.particle} {site.atom}"
        progress(name, done, len(wanted))
        try:
            found[scale, site.name] = of_site(scale, site)
        except MissingError as error:
            failures.append(f"{error}")
        except FeffError as error:
            if site.name == plan.bulk:
                raise
            failures.append(f"{name}: {error}")
    progress("all", len(wanted), len(wanted))
    return Built(found, tuple(failures))


def _jobs(
    recipe: LibraryRecipe,
    plan: Plan,
    scale: float,
    site: Site,
    folder: Path,
) -> Iterator[Job]:
    """Yield the calculations of a site, one for each part of the settings."""
    chosen = recipe.settings_at(scale)
    is_crystal = site.name == plan.bulk
    atoms = crystal_cluster() if is_crystal else site.seen.positions
    frozen = chosen.frozen and not is_crystal
    title = f"{recipe.element} {recipe.edge} {site.particle} {site.atom} {scale:g}"
    for number, part in enumerate(chosen.parts):
        text = feff_input(
            title,
            recipe.element,
            recipe.edge,
            atoms * recipe.lattice_a * scale,
            chosen,
            part,
            AFTER_POTENTIALS if frozen else ALL_MODULES,
        )
        name = _CRYSTAL if is_crystal else site.name
        potentials = folder / f"{_CRYSTAL}-{number}" if frozen else None
        yield Job(folder / f"{name}-{number}", text, SPECTRUM, potentials)
