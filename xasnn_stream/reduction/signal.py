"""A file's scan as the curves that physics takes, with the edge it is of."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from xasnn_stream.analysis.absorption import choose_mode, rough_mu, steepest_rise
from xasnn_stream.analysis.which_edge import Edge, edge_of
from xasnn_stream.errors import UsageError
from xasnn_stream.files.scan import Scan
from xasnn_stream.manifest import Manifest
from xasnn_stream.physics.signals.single import transmission
from xasnn_stream.spectrum import FloatArray

UNTOLD = (
    "edge not told: e0 is looked for over the whole scan; --element and --edge bound"
)
_FALLS_RATHER = 2.0
"""An edge falls as clearly as this over its rise only where the sign of μ is wrong."""


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """One scan: curves of `(points,)` in order of acquisition, NaN where impossible.

    `i0` and `reference` (the foil's μ) where the file has them; `transmission` beside a
    fluorescence `mu`; `detector` the readings that may saturate. `edge` is None where
    nobody knows it.
    """

    file: Path
    scan: str
    energy_ev: FloatArray
    mu: FloatArray
    mode: str
    edge: Edge | None
    notes: tuple[str, ...]
    left_out: int = 0
    i0: FloatArray | None = None
    reference: FloatArray | None = None
    transmission: FloatArray | None = None
    detector: FloatArray | None = None


def signal_of(
    scan: Scan,
    file: Path,
    mode: str | None,
    told: tuple[str | None, str | None],
    models: list[Manifest],
) -> Signal:
    """Return a scan's signal; `mode` and `told` are what the caller states."""
    chosen, mode_note = (mode, "") if mode else choose_mode(scan)
    channels = scan.channels
    edge, edge_note = _edge(scan, chosen, told, models)
    counted = {"i0", "if" if chosen == "fluorescence" else "it"} <= set(channels)
    detector = channels["if" if chosen == "fluorescence" else "it"] if counted else None
    both = chosen == "fluorescence" and {"i0", "it"} <= set(channels)
    return Signal(
        file=file,
        scan=scan.name,
        energy_ev=scan.energy_ev,
        mu=rough_mu(scan, chosen),
        mode=chosen,
        edge=edge,
        notes=tuple(n for n in (*scan.notes, edge_note, mode_note) if n),
        left_out=scan.left_out,
        i0=channels["i0"] if counted else None,
        reference=_reference(scan),
        transmission=rough_mu(scan, "transmission") if both else None,
        detector=detector,
    )


def _edge(
    scan: Scan,
    mode: str,
    told: tuple[str | None, str | None],
    models: list[Manifest],
) -> tuple[Edge | None, str]:
    """Return the edge, or None, and a note where it was not told."""
    try:
        edge = edge_of(_upright(scan, mode), mode, told, models)
    except UsageError:
        return None, UNTOLD
    return edge, edge.note


def _upright(scan: Scan, mode: str) -> Scan:
    """Return a scan whose edge goes up, for guessing which edge it is."""
    mu = rough_mu(scan, mode)
    up, down = (steepest_rise(scan.energy_ev, sign * mu)[1] for sign in (1.0, -1.0))
    return replace(scan, channels={"mu": -mu}) if down > _FALLS_RATHER * up else scan


def _reference(scan: Scan) -> FloatArray | None:
    """Return ln(It/Ir) or the file's own μ of the foil; None without either."""
    channels = scan.channels
    if not {"it", "ir"} <= set(channels):
        return channels.get("mu_reference")
    with np.errstate(all="ignore"):
        return transmission(channels["it"], channels["ir"])
