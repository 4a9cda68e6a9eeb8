"""Energies from what the monochromator's position was read as."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from xasnn_stream.assembly.metadata import quantity
from xasnn_stream.assembly.settings import Bragg, Energy
from xasnn_stream.spectrum import FloatArray

_EV_PER_UNIT = {"eV": 1.0, "keV": 1000.0}
_COUNTS = 1 << 24  # of an unsigned 24-bit encoder


def energies(
    readings: FloatArray, energy: Energy, facts: Mapping[str, Any]
) -> FloatArray:
    """Return energies in eV, of the shape of the readings.

    `facts` is the start document and, under `descriptor`, the configuration in the
    stream's descriptor. By Bragg's law an energy is NaN at an angle at which nothing is
    reflected, and for a count of exactly zero: that of a row that was never filled.
    """
    with np.errstate(all="ignore"):  # readings and facts may be anything
        if energy.bragg is None:
            return readings * _EV_PER_UNIT[energy.unit]
        found = _diffracted(readings, energy.bragg, facts)
        is_energy = np.isfinite(found) & (found > 0) & (readings != 0)
    return np.where(is_energy, found, np.nan)


def _diffracted(
    counts: FloatArray, bragg: Bragg, facts: Mapping[str, Any]
) -> FloatArray:
    """E = hc / (2 d sin θ); not finite, or not positive, where sin θ is not."""
    folded = _folded(counts) if bragg.fold == "xor24" else counts
    turned = np.divide(folded, quantity(facts, bragg.counts_per_degree))
    degrees = bragg.sign * turned + quantity(facts, bragg.offset_deg)
    sine = np.sin(np.deg2rad(degrees))
    return np.divide(bragg.hc, 2.0 * quantity(facts, bragg.d_spacing) * sine)


def _folded(counts: FloatArray) -> FloatArray:
    """Return the signed count of an encoder that counts down from 2^24 below zero.

    The beamlines' own rule, -(c ^ 0xfffffe), flips the lowest bit: it is zero or two
    counts above c - 2^24, noise of 3 meV at 11.5 keV about a mean that is 3 meV high.
    Offsets found with it are a count off at most, far less than a foil can tell.
    """
    is_count = np.isfinite(counts) & (np.abs(counts) < _COUNTS)
    signed = np.where(counts > 0, counts - _COUNTS, counts)
    return np.where(is_count, signed, np.nan)
