"""The recipe of a site library: which sites are computed, and how."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from xasnn_stream.clusters import crystal
from xasnn_stream.edges import EDGES, edge_energy_ev
from xasnn_stream.errors import UsageError
from xasnn_stream.libraries.feff.settings import Settings, settings
from xasnn_stream.libraries.structures import particle, read_xyz
from xasnn_stream.libraries.unique_sites import (
    ENVIRONMENT_A,
    SiteNames,
    Surroundings,
    sites_of,
    surroundings,
)
from xasnn_stream.library import BULK
from xasnn_stream.spectrum import FloatArray

SCHEMA = "xasnn.library-recipe/1"
_KEYS = {"schema", "element", "edge", "lattice_a", "scales", "particles", "settings"}
_OPTIONAL = {"foil"}
_CRYSTAL_RADIUS = 2.3
"""Lattice constants; what is around every atom that potentials are computed for."""


@dataclass(frozen=True, slots=True)
class LibraryRecipe:
    """What is to be computed; `particles` maps names to positions (`atoms x 3`, a).

    `foil` is a measured foil that theory is put in the units of, if there is one.
    """

    element: str
    edge: str
    edge_ev: float
    lattice_a: float
    scales: tuple[float, ...]
    particles: Mapping[str, FloatArray]
    settings: str
    foil: str | None

    def settings_at(self, scale: float) -> Settings:
        """Return the FEFF settings at a lattice scale."""
        return settings(self.settings, self.lattice_a * scale, self.edge)


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """One inequivalent site: what it sees, and an atom of a particle where it is."""

    name: str
    seen: Surroundings
    particle: str
    atom: int


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All sites of a recipe, the crystal's first, and which particle is made of which."""

    sites: Mapping[str, Site]
    particles: Mapping[str, tuple[tuple[str, int], ...]]
    bulk: str


def read_library_recipe(path: Path) -> LibraryRecipe:
    """Read a recipe; files it names lie beside it.

    Raises
    ------
    UsageError
        If it cannot be read, telling every mistake at once.
    """
    data = _loaded(path)
    mistakes = [f"{key}: missing" for key in sorted(_KEYS - data.keys())]
    extra = sorted(map(str, data.keys() - _KEYS - _OPTIONAL))
    mistakes += [f"{key}: unknown" for key in extra]
    if data.get("schema", SCHEMA) != SCHEMA:
        mistakes.append(f"schema: expected {SCHEMA}")
    lattice_a, scales = _lengths(data, mistakes)
    element, edge, edge_ev = _edge(data, mistakes)
    of = (path.parent, element, lattice_a)
    particles = _particles(data.get("particles"), of, mistakes)
    try:
        settings(str(data.get("settings", "library")), lattice_a, edge)
    except UsageError as error:
        mistakes.append(f"settings: {error}")
    if mistakes:
        raise UsageError(f"{path}: " + "; ".join(mistakes))
    foil = data.get("foil")
    return LibraryRecipe(
        element=element,
        edge=edge,
        edge_ev=edge_ev,
        lattice_a=lattice_a,
        scales=scales,
        particles=particles,
        settings=str(data["settings"]),
        foil=None if foil is None else str(path.parent / str(foil)),
    )


def _loaded(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} is not a readable recipe: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"{path} is no recipe: a mapping is expected")
    return data


def _lengths(
    data: Mapping[str, Any], mistakes: list[str]
) -> tuple[float, tuple[float, ...]]:
    try:
        lattice_a = float(data.get("lattice_a", 1.0))
        scales = tuple(sorted({round(float(s), 4) for s in data.get("scales", [1.0])}))
    except (TypeError, ValueError) as error:
        mistakes.append(f"lattice_a and scales are numbers: {error}")
        return 1.0, (1.0,)
    if not (1.0 <= lattice_a < 20.0) or not scales or not scales[0] > 0.5:
        mistakes.append("lattice_a is in Å, scales are relative to it, as 0.98 and 1.0")
    return lattice_a, scales


def _edge(data: Mapping[str, Any], mistakes: list[str]) -> tuple[str, str, float]:
    element, edge = str(data.get("element")), str(data.get("edge"))
    energy = edge_energy_ev(element, edge) if edge in EDGES else None
    if energy is None and {"element", "edge"} <= data.keys():
        mistakes.append(f"element, edge: {element} {edge} is no tabulated edge")
    return element, edge, energy or 0.0


def _particles(
    named: Any, of: tuple[Path, str, float], mistakes: list[str]
) -> dict[str, FloatArray]:
    folder, element, lattice_a = of
    found: dict[str, FloatArray] = {}
    for entry in named if isinstance(named, list) else []:
        try:
            if isinstance(entry, dict):
                name = str(entry["name"])
                found[name] = read_xyz(folder / str(entry["xyz"]), element, lattice_a)
            elif entry != BULK:
                found[str(entry)] = particle(str(entry))
        except KeyError as error:
            mistakes.append(f"particles: {entry} has no {error.args[0]}")
        except UsageError as error:
            mistakes.append(f"particles: {error}")
    if not isinstance(named, list):
        mistakes.append("particles: a list of names, or of name and xyz")
    return found


def plan_of(recipe: LibraryRecipe) -> Plan:
    """Find the inequivalent sites of a recipe; the crystal is always among them."""
    names = SiteNames()
    whole = crystal(_CRYSTAL_RADIUS)
    centre = int(np.argmin(np.linalg.norm(whole, axis=1)))
    seen = surroundings(whole, centre)
    bulk = names.of(seen)
    sites = {bulk: Site(bulk, seen, BULK, 0)}
    particles: dict[str, tuple[tuple[str, int], ...]] = {BULK: ((bulk, 1),)}
    for particle_name, positions in recipe.particles.items():
        found = sites_of(positions, names, ENVIRONMENT_A)
        for name, (atom, _) in found.items():
            if name not in sites:
                seen = surroundings(positions, atom, ENVIRONMENT_A)
                sites[name] = Site(name, seen, particle_name, atom)
        particles[particle_name] = tuple((n, many) for n, (_, many) in found.items())
    return Plan(sites, particles, bulk)


def crystal_cluster() -> FloatArray:
    """Return a piece of the crystal for its potentials, `atoms x 3`, the centre first."""
    whole = crystal(_CRYSTAL_RADIUS)
    return whole[np.argsort(np.linalg.norm(whole, axis=1), kind="stable")]
