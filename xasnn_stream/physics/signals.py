"""From readings to absorption: μ·t = ln(I0/It), and the reference foil's ln(It/Ir)."""

import numpy as np

from xasnn_stream.spectrum import FloatArray


def transmission(i0: FloatArray, it: FloatArray) -> FloatArray:
    """Return μ·t = ln(I0 / It); readings positive, any common shape."""
    return np.log(i0 / it)


def fluorescence(i0: FloatArray, fluorescence_yield: FloatArray) -> FloatArray:
    """Return If / I0, proportional to μ for thin or dilute samples."""
    return fluorescence_yield / i0


def merge_duplicates(energy: FloatArray, *curves: FloatArray) -> list[FloatArray]:
    """Sort by energy and average points of equal energy; each `(points,)`."""
    unique, index, count = np.unique(energy, return_inverse=True, return_counts=True)
    merged = [np.bincount(index, weights=curve) / count for curve in curves]
    return [unique, *merged]
