"""Measured spectra for a scorecard, read from files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xasnn_stream.edges import edge_energy_ev, edge_window
from xasnn_stream.errors import FileError
from xasnn_stream.files.read import read_scans
from xasnn_stream.files.scan import Scan
from xasnn_stream.physics.signals.single import fluorescence, transmission
from xasnn_stream.spectrum import FloatArray

_COMPLETE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """μ over energy (eV), each `(points,)`, and where its e0 may be (eV)."""

    name: str
    energy: FloatArray
    mu: FloatArray
    window: tuple[float, float]


def read_curves(path: Path) -> list[Curve]:
    """Read every scan of a file.

    Raises
    ------
    FileError
        If it cannot be read or names no element and edge.
    """
    return [_curve(scan, path) for scan in read_scans(path)]


def _curve(scan: Scan, path: Path) -> Curve:
    facts = scan.facts
    tabulated = (
        edge_energy_ev(facts.element, facts.edge)
        if facts.element and facts.edge
        else None
    )
    if tabulated is None:
        raise FileError(f"{path} does not name its element and edge in the header")
    name = path.name.split(".")[0]
    return Curve(
        f"{name} {scan.name}".strip(),
        scan.energy_ev,
        _absorption(scan, path),
        edge_window(tabulated),
    )


def _absorption(scan: Scan, path: Path) -> FloatArray:
    channels = scan.channels
    with np.errstate(all="ignore"):
        if "mu" in channels:
            return channels["mu"]
        if {"i0", "if"} <= set(channels) and scan.facts.mode == "fluorescence":
            return fluorescence(channels["i0"], channels["if"])
        if {"i0", "it"} <= set(channels):
            return transmission(channels["i0"], channels["it"])
    raise FileError(f"{path} has no absorption")


def usable(curves: list[Curve]) -> list[Curve]:
    """Return the repeats that can be compared point by point.

    Left out are those with values that are not finite, with energies that repeat or step
    back, and those that were aborted.
    """
    whole = [
        curve
        for curve in curves
        if np.isfinite(curve.mu).all() and (np.diff(curve.energy) > 0).all()
    ]
    if not whole:
        return []
    length = np.median([len(curve.energy) for curve in curves])
    return [curve for curve in whole if len(curve.energy) >= _COMPLETE * length]
