"""Measured curves, normalized and mixed: what goes into the files of `bench.measured`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from xasnn_stream.analysis.settings import NORMALIZATION
from xasnn_stream.edges import edge_energy_ev, next_edge_ev
from xasnn_stream.engine.foil import read_foil
from xasnn_stream.files.read import read_scans
from xasnn_stream.physics.align import edge_position
from xasnn_stream.physics.normalization.edge import find_e0
from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.normalization.ranges import reach
from xasnn_stream.spectrum import FloatArray

SEARCH_EV = 15.0
ALL_OF_IT_EV, NONE_OF_IT_EV = 100.0, 140.0
"""A wrong step is wrong where the model reads, and gone where the post-edge is fitted:
otherwise normalization would undo it."""


@dataclass(frozen=True)
class Curve:
    """Normalized μ, `(points,)`, of an edge at `position` eV."""

    energy_ev: FloatArray
    mu: FloatArray
    position: float

    def moved(self, to: float) -> "Curve":
        """Return the curve with its edge at `to` eV."""
        energy = self.energy_ev + (to - self.position)
        return replace(self, energy_ev=energy, position=to)


def normalized(paths: Sequence[str], element: str, edge: str) -> list[Curve]:
    """Read curves, `FILE` or `FILE#column`, and normalize them over their common range."""
    known = edge_energy_ev(element, edge) or np.nan
    found = []
    for path in paths:
        foil = read_foil(path)
        energy, mu = (torch.from_numpy(c)[None] for c in (foil.energy_ev, foil.mu))
        valid = torch.ones_like(mu, dtype=torch.bool)
        about = torch.tensor([known], dtype=torch.float64)
        e0 = find_e0(energy, mu, valid, (about - SEARCH_EV, about + SEARCH_EV))
        far = reach(energy, valid, e0, next_edge_ev(element, edge, ()))
        found.append((energy, mu, valid, e0, far.limits))
    limits = (
        torch.stack([low for *_, (low, _) in found]).amax(0),
        torch.stack([high for *_, (_, high) in found]).amin(0),
    )
    curves = []
    for energy, mu, valid, e0, _ in found:
        result = normalize(energy, mu, valid, NORMALIZATION, e0, limits)
        at = edge_position(energy, result.flat, valid, e0)
        curves.append(Curve(energy[0].numpy(), result.norm[0].numpy(), float(at)))
    return curves


def dispersive(series: Path) -> Curve:
    """Return the foil of the dispersive series as it is, μ not normalized."""
    scan = read_scans(series, {"energy": "energy", "mu": "foil_mu"})[0]
    return Curve(scan.energy_ev, scan.channels["mu"], np.nan)


def mixed(one: Curve, other: Curve, share: float) -> Curve:
    """Return `share` of one and the rest of another, as their energies stand."""
    inside = (one.energy_ev >= other.energy_ev[0]) & (
        one.energy_ev <= other.energy_ev[-1]
    )
    energy = one.energy_ev[inside]
    rest = np.interp(energy, other.energy_ev, other.mu)
    return replace(
        one, energy_ev=energy, mu=share * one.mu[inside] + (1 - share) * rest
    )


def stepped(curve: Curve, error: float) -> Curve:
    """Return what the model reads of a curve whose step was measured too low by `error`."""
    above = curve.energy_ev - curve.position
    fade = (NONE_OF_IT_EV - above) / (NONE_OF_IT_EV - ALL_OF_IT_EV)
    return replace(curve, mu=curve.mu * (1 + error * np.clip(fade, 0, 1)))


def shifted(curve: Curve, by: float) -> Curve:
    """Return a curve measured `by` eV too high."""
    return replace(curve, energy_ev=curve.energy_ev + by)


def write(path: Path, curve: Curve, element: str, edge: str) -> Path:
    """Write a curve as a file that is read as any other."""
    header = f"element: {element}\nedge: {edge}\nmode: transmission\ncolumns: energy mu"
    columns = np.column_stack((curve.energy_ev, curve.mu))
    np.savetxt(path, columns, "%.9g", ",", header=header)
    return path
