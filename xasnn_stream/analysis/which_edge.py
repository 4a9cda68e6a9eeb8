"""Which element and edge a scan is of: as told, as its header says, or as it looks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xasnn_stream.analysis.absorption import rough_mu, steepest_rise
from xasnn_stream.edges import EDGE_ENERGIES_EV, edge_energy_ev
from xasnn_stream.errors import UsageError
from xasnn_stream.files.header import edge_name
from xasnn_stream.files.scan import Scan
from xasnn_stream.manifest import Manifest

_NEAR_EV = 15.0
"""Chemical shift and an axis out of calibration together stay below this."""

_USUAL = ("K", "L3")
"""Edges people scan; L1 and L2 are taken only where none of these is near."""


@dataclass(frozen=True, slots=True)
class Edge:
    """An element's edge, with a note where it was guessed."""

    element: str
    edge: str
    note: str = ""


def told_edge(element: str | None, edge: str | None) -> tuple[str | None, str | None]:
    """Return element and edge of a command line as they are called here.

    Raises
    ------
    UsageError
        If there is no such element or edge.
    """
    symbol = element.capitalize() if element else None
    name = edge_name(edge) if edge else None
    if symbol is not None and symbol not in EDGE_ENERGIES_EV:
        raise UsageError(f"--element {element}: no element with a tabulated edge")
    if edge and name is None:
        raise UsageError(f"--edge {edge}: known are K, L1, L2 and L3")
    if symbol and name and edge_energy_ev(symbol, name) is None:
        raise UsageError(f"{symbol} has no tabulated {name} edge")
    return symbol, name


def edge_of(
    scan: Scan,
    mode: str,
    told: tuple[str | None, str | None],
    models: Sequence[Manifest],
) -> Edge:
    """Return the edge a scan is of.

    Where neither the caller nor the header names it, it is the tabulated edge at the
    header's edge energy, else at the steepest rise; of several within 15 eV that of a
    model, else the only K or L3 edge.

    Raises
    ------
    UsageError
        If it cannot be told; asks for `--element` and `--edge`.
    """
    element, edge = told[0] or scan.facts.element, told[1]
    if edge is None and (told[0] is None or told[0] == scan.facts.element):
        edge = scan.facts.edge
    if element and edge:
        return Edge(element, edge)
    planned = scan.facts.e0_ev
    position = planned or steepest_rise(scan.energy_ev, rough_mu(scan, mode))[0]
    if not np.isfinite(position):
        raise UsageError(
            f"the header names no element and edge, and {_span(scan)} hold no edge with "
            "30 eV before and 60 eV above it; give --element and --edge"
        )
    near = [
        (el, ed)
        for el, edges in EDGE_ENERGIES_EV.items()
        for ed, energy in edges.items()
        if abs(energy - position) <= _NEAR_EV and el == (element or el)
    ]
    chosen = _choose([c for c in near if c[1] == (edge or c[1])], models)
    where = (
        f"the header's edge energy, {planned:.0f} eV"
        if planned
        else f"the steepest rise, at {position:.0f} eV"
    )
    if chosen is None:
        may = ", ".join(f"{el} {ed}" for el, ed in near) or "no tabulated edge"
        raise UsageError(
            f"which edge this is cannot be told from {where} ({may}); give --element "
            "and --edge"
        )
    return Edge(*chosen, f"{chosen[0]} {chosen[1]} guessed from {where}")


def _choose(
    near: Sequence[tuple[str, str]], models: Sequence[Manifest]
) -> tuple[str, str] | None:
    read = [(model.element, model.edge) for model in models]
    for candidates in (
        [each for each in near if each in read],
        [each for each in near if each[1] in _USUAL],
        near,
    ):
        if candidates:
            return candidates[0] if len(candidates) == 1 else None
    return None


def _span(scan: Scan) -> str:
    energy = scan.energy_ev[np.isfinite(scan.energy_ev)]
    return f"energies from {energy.min():.0f} to {energy.max():.0f} eV"
