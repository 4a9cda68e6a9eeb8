"""From computed spectra to a library: one grid, one index of particles."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.clusters import SHELL_EDGES, coordination
from xasnn_stream.errors import LibraryError
from xasnn_stream.libraries.feff.output import Computed
from xasnn_stream.libraries.feff.settings import Settings
from xasnn_stream.libraries.foil_fit import FoilFit, fit_foil, read_measured
from xasnn_stream.libraries.recipe import LibraryRecipe, Plan
from xasnn_stream.libraries.theory import on_energies
from xasnn_stream.spectrum import FloatArray

Spectra = dict[tuple[float, str], tuple[Computed, ...]]
"""By lattice scale and site: a spectrum for each part of the settings."""

X = np.arange(-25.0, 120.0 + 0.25, 0.5)
"""The grid of a library, eV from the foil's edge."""

_SAME_EV = 5e-3
_FOIL_STEP_EV = 0.25


def join_parts(parts: tuple[Computed, ...], chosen: Settings) -> Computed:
    """Return one spectrum of its parts, each from its own energy on.

    Raises
    ------
    LibraryError
        If the parts are not on the same energies.
    """
    first = parts[0]
    mu, background = first.mu.copy(), first.background.copy()
    for part, limits in zip(parts[1:], chosen.parts[1:], strict=True):
        if not _same(part.energy, first.energy):
            raise LibraryError("the parts of a spectrum are on different energies")
        above = first.energy >= limits.from_ev
        mu[above], background[above] = part.mu[above], part.background[above]
    return replace(first, mu=mu, background=background)


def _same(one: FloatArray, other: FloatArray) -> bool:
    return len(one) == len(other) and bool(np.abs(one - other).max() < _SAME_EV)


def library_fields(
    recipe: LibraryRecipe, plan: Plan, spectra: Spectra
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the arrays and the index of a library; see `write_library`.

    Raises
    ------
    LibraryError
        If there are no spectra, or none of the crystal at a lattice scale.
    """
    joined = {
        key: join_parts(parts, recipe.settings_at(key[0]))
        for key, parts in spectra.items()
    }
    scales = sorted({scale for scale, _ in joined})
    if not scales:
        raise LibraryError("nothing is computed yet: there is no spectrum to collect")
    for scale in scales:
        if (scale, plan.bulk) not in joined:
            raise LibraryError(f"scale {scale:g} has no spectrum of the crystal")
    calibration = _calibration(recipe, plan, joined, scales)
    to_x = calibration["energy_shift_eV"] - recipe.edge_ev
    rows = [(s, name) for s in scales for name in plan.sites if (s, name) in joined]
    arrays = _rows(recipe, plan, joined, rows, to_x)
    for scale in scales:
        arrays |= _raw(joined, [row for row in rows if row[0] == scale], scale)
    present = {name for _, name in joined}
    return arrays, _index(recipe, plan, present, calibration)


def _index(
    recipe: LibraryRecipe, plan: Plan, present: set[str], calibration: dict[str, Any]
) -> dict[str, Any]:
    """Return what `particles.json` says; `present` are the sites with a spectrum."""
    return {
        "particles": {
            name: {
                "natoms": len(recipe.particles.get(name, ())),
                "sites": [[site, many] for site, many in sites],
                "complete": {site for site, _ in sites} <= present,
            }
            for name, sites in plan.particles.items()
        },
        "calibration": {recipe.element: calibration},
        "shell_edges_over_a": list(SHELL_EDGES),
        "lattice_a": {recipe.element: recipe.lattice_a},
        "bulk_site": plan.bulk,
        "settings": recipe.settings,
    }


def _on(computed: Computed, at: FloatArray, to_x: float) -> FloatArray:
    shift = computed.offset + to_x
    return on_energies(computed.energy + shift, computed.mu, computed.fermi + shift, at)


def _rows(
    recipe: LibraryRecipe,
    plan: Plan,
    joined: Mapping[tuple[float, str], Computed],
    rows: list[tuple[float, str]],
    to_x: float,
) -> dict[str, NDArray[Any]]:
    sites = [plan.sites[name] for _, name in rows]
    around = [site.seen.positions for site in sites]
    numbers = [coordination(positions)[0] for positions in around]
    computed = [joined[row] for row in rows]
    ends = [c.energy[[0, -1]] + c.offset + to_x for c in computed]
    return {
        "x": X.astype(np.float32),
        "site_id": np.array([site.name for site in sites]),
        "scale": np.array([scale for scale, _ in rows], np.float32),
        "mu": np.array([_on(c, X, to_x) for c in computed], np.float32),
        "cn": np.array(numbers, np.int16),
        "R1": np.array(
            [
                _first_shell(positions) * recipe.lattice_a * scale
                for positions, (scale, _) in zip(around, rows, strict=True)
            ],
            np.float32,
        ),
        "n_env": np.array([len(positions) for positions in around], np.int16),
        "x_valid": np.array(ends, np.float32),
        "first_particle": np.array([site.particle for site in sites]),
        "site_index": np.array([site.atom for site in sites], np.int32),
    }


def _first_shell(positions: FloatArray) -> float:
    """Return the mean distance of the nearest neighbours of the first atom, in a."""
    distance = np.linalg.norm(positions[1:] - positions[0], axis=1)
    near = distance[distance <= SHELL_EDGES[1]]
    return float(near.mean()) if len(near) else 0.0


def _raw(
    joined: Mapping[tuple[float, str], Computed],
    rows: list[tuple[float, str]],
    scale: float,
) -> dict[str, NDArray[Any]]:
    """Return FEFF's own numbers on the energies of the crystal, the first row.

    With a potential for every site their energies differ by its Fermi level.
    """
    computed = [joined[row] for row in rows]
    first = computed[0]
    absolute = first.energy + first.offset
    mu = [
        c.mu
        if _same(c.energy + c.offset, absolute)
        else on_energies(c.energy + c.offset, c.mu, c.fermi + c.offset, absolute)
        for c in computed
    ]
    fields = {
        "e": first.energy,
        "mu": np.array(mu, np.float32),
        "mu0": first.background,
        "key": np.array([name for _, name in rows]),
        "Eabs_offset": np.array(first.offset),
        "fermi": np.array(first.fermi),
    }
    name = f"{scale:.2f}" if round(scale, 2) == scale else f"{scale:g}"
    return {f"raw_{field}_{name}": array for field, array in fields.items()}


def _calibration(
    recipe: LibraryRecipe,
    plan: Plan,
    joined: Mapping[tuple[float, str], Computed],
    scales: list[float],
) -> dict[str, Any]:
    """Put theory on the foil's axis and in its units; without a foil on its own edge."""
    nearest = min(scales, key=lambda scale: abs(scale - 1.0))
    bulk = joined[nearest, plan.bulk]
    counts = {f"{s:.2f}": sum(scale == s for scale, _ in joined) for s in scales}
    if recipe.foil is None:
        wide = np.arange(-60.0, 60.0, _FOIL_STEP_EV)
        slope = np.gradient(_on(bulk, wide, -recipe.edge_ev), wide)
        shift = -float(wide[int(np.argmax(slope))])
        fields: dict[str, Any] = {"norm_amp": 1.0, "norm_slope_per_100eV": 0.0}
    else:
        fit = _fit(recipe, bulk)
        shift = fit.correction.shift_ev - fit.inflection_ev
        fields = {
            "norm_amp": fit.correction.amplitude,
            "norm_slope_per_100eV": fit.correction.slope_per_100ev,
            "foil_reference": fit.foil,
            "bulk_vs_foil": {fit.foil: fit.document()},
        }
    return {
        "E0_tabulated": recipe.edge_ev,
        "energy_shift_eV": shift,
        **fields,
        "scales": counts,
    }


def _fit(recipe: LibraryRecipe, bulk: Computed) -> FoilFit:
    measured = read_measured(str(recipe.foil), recipe.element, recipe.edge)
    return fit_foil(partial(_on, bulk, to_x=-recipe.edge_ev), measured)
