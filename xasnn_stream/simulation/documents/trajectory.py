"""Where a monochromator is while it flies up and down: E(t) without corners."""

from dataclasses import dataclass

import numpy as np

from xasnn_stream.simulation.documents.sample import Sample
from xasnn_stream.spectrum import FloatArray

REST_S = 0.25
"""How long it rests before the first sweep, at every turn, and after the last."""

ROUNDED_S = 0.03
PIECES_S = (0.6, 1.8, 1.0)
"""Of a sweep: before the edge, about it, behind it."""

SWEEP_S = sum(PIECES_S)


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """E(t) of `sweeps` sweeps that begin at the low end, from second 0 on."""

    time_s: FloatArray
    energy_ev: FloatArray
    duration_s: float

    def energy(self, time_s: FloatArray) -> FloatArray:
        """Return energies in eV at seconds from the beginning."""
        return np.interp(time_s, self.time_s, self.energy_ev)


def trajectory(sample: Sample, sweeps: int) -> Trajectory:
    """Return the way up and down about the edge of a sample."""
    low, high = sample.limits_ev
    up = np.array([low, sample.edge_ev - 30.0, sample.edge_ev + 60.0, high])
    corners_s, corners_ev = [0.0], [low]
    for sweep in range(sweeps):
        begin_s = REST_S + sweep * (SWEEP_S + REST_S)
        pieces = PIECES_S[::-1] if sweep % 2 else PIECES_S
        corners_s += list(begin_s + np.cumsum([0.0, *pieces]))
        corners_ev += list(up[::-1] if sweep % 2 else up)
    duration_s = corners_s[-1] + REST_S
    time_s = np.arange(-1.0, duration_s + 1.0, 1e-4)
    sharp = np.interp(time_s, corners_s, corners_ev)
    return Trajectory(time_s, _rounded(sharp, 1e-4), duration_s)


def sweep_at(time_s: FloatArray, sweeps: int) -> FloatArray:
    """Return the number of the sweep at each time; it changes in the middle of a turn."""
    number = np.floor((time_s - REST_S / 2) / (SWEEP_S + REST_S))
    return np.clip(number, 0, sweeps - 1)


def _rounded(values: FloatArray, step_s: float) -> FloatArray:
    """Return the values twice averaged over `ROUNDED_S`: continuous acceleration."""
    width = round(ROUNDED_S / step_s)
    for _ in range(2):
        summed = np.cumsum(np.pad(values, (width // 2 + 1, width // 2), mode="edge"))
        values = (summed[width:] - summed[:-width])[: len(values)] / width
    return values
