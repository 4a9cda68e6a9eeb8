"""From sites to structures: whole particles, and mixtures of them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from xasnn_stream.errors import LibraryError
from xasnn_stream.library.site_spectra import REFERENCE_SCALE, Library
from xasnn_stream.spectrum import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Formed:
    """A mean over sites: `mu` (`energy`), `cn` (4), `r1` (Å, mean over bonds)."""

    mu: FloatArray
    cn: FloatArray
    r1: float


def average(library: Library, rows: Iterable[int], weights: FloatArray) -> Formed:
    """Average site rows with the given weights (number of atoms at each site).

    Spectra and coordination numbers are means over atoms; r1 is the mean over bonds,
    Σ w·cn1·r1 / Σ w·cn1.
    """
    index = np.fromiter(rows, int)
    share = weights / weights.sum()
    bonds = share * library.cn[index, 0]
    return Formed(
        mu=share @ library.mu[index],
        cn=share @ library.cn[index],
        r1=float(bonds @ library.r1[index] / bonds.sum()),
    )


def form(library: Library, particle: str, scale: float = 1.0) -> Formed:
    """Form a whole particle at one lattice scale.

    Raises
    ------
    LibraryError
        If the particle is unknown or a site of it is missing at this scale.
    """
    if particle not in library.complete(scale):
        raise LibraryError(
            f"{particle} cannot be formed at scale {scale:g} of {library.element} "
            f"{library.edge}; complete there: {', '.join(library.complete(scale))}"
        )
    rows = library.rows(scale)
    sites = library.particles[particle]
    counts = np.array([count for _, count in sites], float)
    return average(library, (rows[site] for site, _ in sites), counts)


def crystal(library: Library) -> FloatArray:
    """Return the spectrum of the crystal at rest, the foil's (`energy`).

    Where the library has none at the reference scale, a straight line through the two
    nearest lattice scales gives it: a foil is never strained, whatever the samples are.

    Raises
    ------
    LibraryError
        If the crystal is there neither at the reference scale nor at two others.
    """
    rows = np.flatnonzero(library.site == library.bulk_site)
    away = np.abs(library.scale[rows] - REFERENCE_SCALE)
    nearest = rows[np.argsort(away, kind="stable")][:2]
    if len(nearest) and library.scale[nearest[0]] == REFERENCE_SCALE:
        return library.mu[nearest[0]]
    if len(nearest) < 2:
        raise LibraryError(
            f"the library of {library.element} {library.edge} has the crystal (site "
            f"{library.bulk_site}) neither at scale {REFERENCE_SCALE:g} nor at two "
            "others: add it, for spectra are read as differences from a foil"
        )
    near, far = library.scale[nearest]
    share = (REFERENCE_SCALE - near) / (far - near)
    return (1 - share) * library.mu[nearest[0]] + share * library.mu[nearest[1]]


def mix(parts: Iterable[tuple[float, Formed]]) -> Formed:
    """Mix formed spectra with weights that are shares of absorbing atoms."""
    pairs = [(weight, part) for weight, part in parts if weight > 0]
    share = np.array([weight for weight, _ in pairs])
    share = share / share.sum()
    cn = share @ np.array([part.cn for _, part in pairs])
    bonds = share * np.array([part.cn[0] for _, part in pairs])
    return Formed(
        mu=share @ np.array([part.mu for _, part in pairs]),
        cn=cn,
        r1=float(bonds @ np.array([part.r1 for _, part in pairs]) / bonds.sum()),
    )
