"""A first look at a scan's absorption: by which signal, and where it rises."""

import numpy as np

from xasnn_stream.files.scan import Scan
from xasnn_stream.physics.signals.single import (
    fluorescence,
    merge_duplicates,
    transmission,
)
from xasnn_stream.spectrum import FloatArray

_HIGHEST_EV = 200_000.0
"""Above every edge; energies beyond are a broken file's."""
_STEP_EV = 1.0
_HALF_WINDOW = 5
"""Points of the smoothed step on either side: wider than noise and white line."""


def rough_mu(scan: Scan, mode: str) -> FloatArray:
    """Return absorption by the counts of a mode, else the file's; NaN where impossible."""
    channels = scan.channels
    signal = "it" if mode == "transmission" else "if"
    if not {"i0", signal} <= set(channels):
        return channels.get("mu", np.full_like(scan.energy_ev, np.nan))
    formula = transmission if mode == "transmission" else fluorescence
    with np.errstate(all="ignore"):
        mu = formula(channels["i0"], channels[signal])
    return np.where(np.isfinite(mu), mu, np.nan)


def choose_mode(scan: Scan) -> tuple[str, str]:
    """Return transmission or fluorescence, and a note where it was not plain.

    The header decides; else what there is; else where the edge stands out more of the
    noise.
    """
    channels, said = set(scan.channels), scan.facts.mode
    if said == "fluorescence" and ("if" in channels or "it" not in channels):
        return "fluorescence", ""
    if "if" not in channels or said in ("transmission", "reference"):
        return "transmission", ""
    if "it" not in channels:
        return "fluorescence", ""
    clarity = {
        mode: steepest_rise(scan.energy_ev, rough_mu(scan, mode))[1]
        for mode in ("transmission", "fluorescence")
    }
    mode = max(clarity, key=lambda mode: clarity[mode])
    return mode, f"read as {mode}, where the edge is clearer; --mode chooses"


@np.errstate(all="ignore")
def steepest_rise(
    energy_ev: FloatArray, mu: FloatArray, margins: tuple[float, float] = (30.0, 60.0)
) -> tuple[float, float]:
    """Return where absorption rises most (eV) and that rise in units of its noise.

    `margins` (eV) at the low and the high end are not looked at. NaN and 0 where there
    is too little to look at.
    """
    good = np.isfinite(mu) & (energy_ev > 0) & (energy_ev < _HIGHEST_EV)
    if np.count_nonzero(good) < 4:
        return np.nan, 0.0
    energy, mu = merge_duplicates(energy_ev[good], mu[good])
    grid = np.arange(energy[0], energy[-1], _STEP_EV)
    if len(grid) < 4 * _HALF_WINDOW or len(energy) < 4:
        return np.nan, 0.0
    even = np.interp(grid, energy, mu)
    box = np.ones(_HALF_WINDOW) / _HALF_WINDOW
    means = np.convolve(even, box, "valid")
    rise = means[_HALF_WINDOW:] - means[:-_HALF_WINDOW]
    at = grid[_HALF_WINDOW : _HALF_WINDOW + len(rise)]
    inside = (at >= energy[0] + margins[0]) & (at <= energy[-1] - margins[1])
    if not inside.any():
        return np.nan, 0.0
    best = int(np.argmax(np.where(inside, rise, -np.inf)))
    if not rise[best] > 0:
        return np.nan, 0.0
    noise = float(np.median(np.abs(np.diff(mu, 2)))) or 1e-12
    return float(at[best]), float(rise[best]) / noise
