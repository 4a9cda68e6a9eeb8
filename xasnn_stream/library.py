"""Training spectra: read a site library, form the spectra of whole particles.

A library (`xasnn.library/1`) is an npz file of site spectra with a `particles.json`
beside it. Spectra are on `x` eV relative to the tabulated edge, x = 0 being the maximum
of the first derivative of the measured foil.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.errors import LibraryError
from xasnn_stream.spectrum import FloatArray

SHELL_BULK_CN = (12.0, 6.0, 24.0, 12.0)
"""Neighbours in the first four shells of an fcc crystal."""

PARTICLES_FILE = "particles.json"

BULK = "bulk"
"""The name of the crystal among the particles."""

_MALFORMED = (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile)
"""What reading files of another form raises."""

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
    `particles` maps a name to its (site id, multiplicity) pairs.
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

    >>> shape_class("ico55"), shape_class("to38")
    ('icosahedral', 'fcc')
    """
    return _SHAPES.get(particle.split("_")[0].rstrip("0123456789"), _FCC)


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


def read_library(path: str | Path) -> Library:
    """Read `<Element>_<edge>.npz` with the `particles.json` beside it.

    Raises
    ------
    LibraryError
        If a file is missing or lacks a field.
    """
    path = Path(path)
    index_path = path.parent / PARTICLES_FILE
    try:
        content = path.read_bytes()
        index = cast("dict[str, Any]", json.loads(index_path.read_text()))
        element, edge = path.stem.split("_")[:2]
        calibration = cast("dict[str, Any]", index["calibration"])[element]
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            data = {name: arrays[name] for name in arrays.files}
        x = np.asarray(data["x"], float)
        amplitude = float(calibration["norm_amp"])
        slope = float(calibration["norm_slope_per_100eV"])
        units = amplitude + slope * np.clip(x, 0, None) / 100
        shift = float(calibration["energy_shift_eV"])
        edge_ev = float(calibration["E0_tabulated"])
        return Library(
            element=element,
            edge=edge,
            x=x,
            mu=np.asarray(data["mu"], float) * units,
            atomic=_atomic(data, x, edge_ev, shift) * units,
            site=data["site_id"].astype(str),
            scale=np.asarray(np.round(data["scale"].astype(float), 4), float),
            cn=np.asarray(data["cn"], float),
            r1=np.asarray(data["R1"], float),
            particles={
                name: tuple((str(site), int(count)) for site, count in entry["sites"])
                for name, entry in index["particles"].items()
            },
            bulk_site=str(index["bulk_site"]),
            sha256=hashlib.sha256(content + index_path.read_bytes()).hexdigest(),
        )
    except _MALFORMED as error:
        raise LibraryError(
            f"{path} is not a training library: {error!r}; expected "
            f"<Element>_<edge>.npz with {PARTICLES_FILE} beside it"
        ) from error


def _atomic(
    data: Mapping[str, NDArray[Any]], x: FloatArray, edge_ev: float, shift: float
) -> FloatArray:
    """Return the atomic background on `x`, in the unit of the site spectra."""
    energy = data["raw_e_1.00"] + data["raw_Eabs_offset_1.00"] + shift - edge_ev
    background = data["raw_mu0_1.00"]
    if energy.ndim > 1:
        energy, background = energy[0], background[0]
    return np.asarray(np.interp(x, energy, background), float)
