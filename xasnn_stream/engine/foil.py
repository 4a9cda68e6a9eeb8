"""The reference foil: a named, hashed input read from a measured file."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.errors import FileError, FoilError
from xasnn_stream.files.read import read_scans
from xasnn_stream.files.scan import Scan
from xasnn_stream.physics.signals.single import (
    fluorescence,
    merge_duplicates,
    transmission,
)
from xasnn_stream.spectrum import FloatArray

_MIN_POINTS = 20
_REFERENCE = ("mu_ref", "mu_reference")
"""After `#`: the reference channel of a scan, else ln(it/ir), else a column."""

_NAME_THEM = (
    "name its absorption with FILE#column; if its columns have no names, give them some "
    "in a first line `# columns: energy i0 it`"
)


@dataclass(frozen=True, slots=True, eq=False)
class Foil:
    """Absorption of a reference foil: `energy_ev` and `mu`, each `(points,)`, ascending.

    `sha256` is over both arrays as float64, as they were read, so the same foil in another
    file format is the same foil.
    """

    name: str
    energy_ev: FloatArray
    mu: FloatArray
    sha256: str

    def without(self, points: NDArray[np.bool_]) -> "Foil":
        """Return the same foil with some points left out, `(points,)`."""
        kept = ~points
        return replace(self, energy_ev=self.energy_ev[kept], mu=self.mu[kept])


def read_foil(path: str) -> Foil:
    """Read a foil from a measured file of any format.

    `path` may end in `#column` to name the absorption column, or in `#scan` where a file
    holds several; otherwise absorption is `mu`, else ln(i0/it), else if/i0.

    Raises
    ------
    FoilError
        If the file cannot be read, or has no energy and absorption.
    """
    file, _, wanted = path.partition("#")
    try:
        scan, mu = _chosen(Path(file), wanted)
    except FileError as error:
        raise FoilError(str(error)) from error
    energy = scan.energy_ev
    good = np.isfinite(energy) & np.isfinite(mu)
    energy, mu = merge_duplicates(energy[good], mu[good])
    if len(energy) < _MIN_POINTS:
        raise FoilError(f"{file}: only {len(energy)} usable points for a foil")
    digest = hashlib.sha256(energy.tobytes() + mu.tobytes()).hexdigest()
    name = Path(file).name + (f"#{wanted}" if wanted else "")
    return Foil(name, energy, mu, digest)


def _chosen(file: Path, wanted: str) -> tuple[Scan, FloatArray]:
    """Return the scan that is meant, and its absorption.

    `wanted` is a scan's name, else means the reference channel, else is a column.
    """
    scans = _readable(file) if wanted else read_scans(file, advice=_NAME_THEM)
    chosen = [(s, _absorption(s)) for s in scans if wanted in ("", s.name)]
    if not chosen and wanted in _REFERENCE:
        found = [(scan, _reference(scan)) for scan in scans]
        chosen = [(scan, mu) for scan, mu in found if mu is not None]
    if not chosen:
        named = read_scans(file, {"mu": wanted}, advice=_NAME_THEM)
        chosen = [(scan, scan.channels["mu"]) for scan in named]
    if len(chosen) > 1:
        shown = ", ".join(scan.name for scan, _ in chosen[:12])
        raise FoilError(
            f"{file} holds {len(chosen)} scans; name one, as {file}#{shown}"
        )
    return chosen[0]


def _readable(file: Path) -> list[Scan]:
    """Return the scans that can be told without being named, none if that fails."""
    try:
        return read_scans(file)
    except FileError:
        return []


def _absorption(scan: Scan) -> FloatArray:
    channels = scan.channels
    if "mu" in channels:
        return channels["mu"]
    with np.errstate(divide="ignore", invalid="ignore"):
        if "it" in channels:
            return transmission(channels["i0"], channels["it"])
        return fluorescence(channels["i0"], channels["if"])


def _reference(scan: Scan) -> FloatArray | None:
    channels = scan.channels
    if "mu_reference" in channels:
        return channels["mu_reference"]
    if not {"it", "ir"} <= set(channels):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        return transmission(channels["it"], channels["ir"])
