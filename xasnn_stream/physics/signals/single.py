"""One scan in numpy, for those who only look at a file and need no torch for it."""

import numpy as np

from xasnn_stream.spectrum import FloatArray

SAME_ENERGY_EV = 1e-3
"""Readings closer than this are of one energy: the difference is the encoder's noise, and
the slope between them would be noise over next to nothing."""


def transmission(i0: FloatArray, it: FloatArray) -> FloatArray:
    """Return μ·t = ln(I0 / It); readings positive, any common shape."""
    return np.log(i0 / it)


def fluorescence(i0: FloatArray, fluorescence_yield: FloatArray) -> FloatArray:
    """Return If / I0, proportional to μ for thin or dilute samples."""
    return fluorescence_yield / i0


def merge_duplicates(energy: FloatArray, *curves: FloatArray) -> list[FloatArray]:
    """Sort by energy and average readings of one energy; each `(points,)`."""
    order = np.argsort(energy, kind="stable")
    is_new = np.diff(energy[order], prepend=-np.inf) > SAME_ENERGY_EV
    first = np.flatnonzero(is_new)
    count = np.diff(first, append=len(energy))
    merged = (np.add.reduceat(curve[order], first) for curve in (energy, *curves))
    return [total / count for total in merged]


def plateau(readings: FloatArray) -> int:
    """Return the longest run of equal readings at the highest or the lowest value.

    A run does not count whose neighbours are the smallest step of the readings away: so
    rounded a smooth curve turns, while one that is cut off was on its way elsewhere.
    """
    steps = np.diff(np.unique(readings))
    if not len(steps):
        return len(readings)
    smallest = 1.5 * steps.min()
    longest = 0
    for end in (readings.max(), readings.min()):
        at_end = np.concatenate(([False], readings == end, [False]))
        edges = np.flatnonzero(np.diff(at_end.astype(int)))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            beside = readings[max(start - 1, 0) : stop + 1]
            if np.abs(beside - end).max() > smallest:
                longest = max(longest, int(stop - start))
    return longest
