"""Calculations made elsewhere: which site each of them is, told by its structure."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from xasnn_stream.errors import LibraryError
from xasnn_stream.libraries.collect import Spectra
from xasnn_stream.libraries.feff.inputs import INPUT, Given, read_input
from xasnn_stream.libraries.feff.output import SPECTRUM, Computed, read_spectrum
from xasnn_stream.libraries.feff.paths import PATTERN, ScatteringPath, read_paths
from xasnn_stream.libraries.feff.settings import Settings
from xasnn_stream.libraries.recipe import LibraryRecipe, Plan
from xasnn_stream.libraries.unique_sites import ENVIRONMENT_A, TOLERANCE_A, surroundings

_SAME_RADIUS = 0.02
"""Å; radii are written with few digits."""


def gather(recipe: LibraryRecipe, plan: Plan, folder: Path) -> Spectra:
    """Take spectra from any folders that hold `feff.inp` and `xmu.dat`.

    Folders of other structures or settings are left aside.

    Raises
    ------
    LibraryError
        If a spectrum of a wanted site cannot be used, or there is none at all.
    """
    found: dict[tuple[float, str], dict[int, Computed]] = {}
    for place, given in _calculations(folder, SPECTRUM):
        for scale, name in _sites(given, recipe, plan):
            number = _part(given, recipe.settings_at(scale))
            if number is not None:
                computed = read_spectrum(place / SPECTRUM)
                found.setdefault((scale, name), {})[number] = computed
    wanted = len(recipe.settings_at(1.0).parts)
    whole = {
        key: tuple(parts[i] for i in range(wanted))
        for key, parts in found.items()
        if len(parts) == wanted
    }
    if not whole:
        raise _nothing(folder, SPECTRUM)
    return whole


def gather_paths(
    recipe: LibraryRecipe, plan: Plan, folder: Path
) -> dict[tuple[float, str], tuple[ScatteringPath, ...]]:
    """Take scattering paths from any folders that hold `feff.inp` and `feffNNNN.dat`.

    Raises
    ------
    LibraryError
        If a path of a wanted site cannot be read, or there is none at all.
    """
    found = {
        key: read_paths(place)
        for place, given in _calculations(folder, PATTERN)
        for key in _sites(given, recipe, plan)
    }
    if not found:
        raise _nothing(folder, "feffNNNN.dat")
    return found


def _nothing(folder: Path, result: str) -> LibraryError:
    looked_at = sum(1 for _ in folder.rglob(INPUT))
    return LibraryError(
        f"{folder} holds no {result} beside a {INPUT} of this recipe's sites and "
        f"settings; {looked_at} calculations were looked at"
    )


def _calculations(folder: Path, result: str) -> Iterator[tuple[Path, Given]]:
    """Yield the folders with an input and a result; hidden ones are not finished."""
    for path in sorted(folder.rglob(INPUT)):
        hidden = any(name.startswith(".") for name in path.relative_to(folder).parts)
        if not hidden and any(path.parent.glob(result)):
            yield path.parent, read_input(path)


def _sites(
    given: Given, recipe: LibraryRecipe, plan: Plan
) -> Iterator[tuple[float, str]]:
    """Yield the lattice scale and the site whose surroundings an input holds."""
    for scale in recipe.scales:
        a = recipe.lattice_a * scale
        seen = surroundings(given.atoms / a, 0, ENVIRONMENT_A)
        for name, site in plan.sites.items():
            theirs = site.seen.invariants
            alike = theirs.shape == seen.invariants.shape
            if alike and np.abs(theirs - seen.invariants).max() <= TOLERANCE_A:
                yield scale, name


def _part(given: Given, chosen: Settings) -> int | None:
    """Return which part of the settings an input computes."""
    for number, part in enumerate(chosen.parts):
        radius = given.fms_radius
        same = radius is not None and abs(part.radius - radius) < _SAME_RADIUS
        if same and part.lmax == given.lmax:
            return number
    return None
