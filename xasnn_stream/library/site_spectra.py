"""The library in memory: site spectra in foil units, and which particles have them all."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.spectrum import FloatArray

SHELL_BULK_CN = (12.0, 6.0, 24.0, 12.0)
"""Neighbours in the first four shells of an fcc crystal."""

BULK = "bulk"
"""The name of the crystal among the particles."""

REFERENCE_SCALE = 1.0
"""Lattice of the crystal at rest; scales are relative to it."""

_SHAPES = {
    "ico": "icosahedral",
    "hcp": "hcp",
    "deca": "decahedral",
    "mdeca": "decahedral",
}
_FCC = "fcc"


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """Site spectra of one element and edge; rows are (site, lattice scale).

    `mu` (`rows x energy`) is in units of the flattened, normalized foil, `atomic`
    (`energy`) the same without neighbours. `cn` (`rows x 4`), `r1` (`rows`, Å).
    `particles` maps a name to its (site id, multiplicity) pairs. `columns` are further
    numbers of every row (`rows`), by the descriptor that is their mean over atoms.
    """

    element: str
    edge: str
    x: FloatArray
    mu: FloatArray
    atomic: FloatArray
    site: NDArray[np.str_]
    scale: FloatArray
    cn: FloatArray
    r1: FloatArray
    particles: Mapping[str, tuple[tuple[str, int], ...]]
    bulk_site: str
    sha256: str
    columns: Mapping[str, FloatArray] = field(
        default_factory=lambda: dict[str, FloatArray]()
    )

    @property
    def scales(self) -> tuple[float, ...]:
        """Lattice scales present, ascending."""
        return tuple(sorted(set(self.scale.tolist())))

    def rows(self, scale: float) -> dict[str, int]:
        """Return the row of every site that is present at a lattice scale."""
        at_scale = np.flatnonzero(self.scale == scale)
        return {str(self.site[row]): int(row) for row in at_scale}

    def complete(self, scale: float) -> tuple[str, ...]:
        """Return the particles all of whose sites are present at a lattice scale."""
        present = self.rows(scale).keys()
        return tuple(
            name
            for name, sites in self.particles.items()
            if all(site in present for site, _ in sites)
        )


def shape_class(particle: str) -> str:
    """Return the lattice a particle is cut from, by its name.

    >>> shape_class("ico55"), shape_class("to38"), shape_class("ico55/random/0.5")
    ('icosahedral', 'fcc', 'icosahedral')
    """
    stem = particle.replace("/", "_").split("_")[0]
    return _SHAPES.get(stem.rstrip("0123456789"), _FCC)
