"""Putting a spectrum and its foil on one energy axis: where edges are, and equal bins.

A first-derivative maximum is a single measured point; the edge position used here is the
mean crossing energy of the levels between one and three quarters of the step, which
averages over the whole rise and moves by hundredths of an eV under counting noise.
"""

import torch
from torch import Tensor

from xasnn_stream.physics.ragged import integrate, interpolate

LOW_LEVEL, HIGH_LEVEL = 0.25, 0.75
SEARCH_BELOW_EV, SEARCH_ABOVE_EV = 20.0, 10.0
_SEARCH_STEP_EV = 0.1


def edge_position(energy: Tensor, flat: Tensor, valid: Tensor, e0: Tensor) -> Tensor:
    """Return the mean energy at which normalized μ crosses levels 1/4 to 3/4, `batch`.

    E = b - ∫ₐᵇ clip((μ - 1/4) / (1/2), 0, 1) dE with a, b around `e0`; this is the mean
    over levels of their crossing energy. NaN where the spectrum does not cover a to b.
    """
    count = round((SEARCH_BELOW_EV + SEARCH_ABOVE_EV) / _SEARCH_STEP_EV)
    offset = torch.arange(count, dtype=energy.dtype, device=energy.device) + 0.5
    at = e0.unsqueeze(-1) - SEARCH_BELOW_EV + offset * _SEARCH_STEP_EV
    level = interpolate(at, energy, flat, valid)
    share = ((level - LOW_LEVEL) / (HIGH_LEVEL - LOW_LEVEL)).clamp(0, 1)
    return e0 + SEARCH_ABOVE_EV - share.sum(-1) * _SEARCH_STEP_EV


def bin_means(
    at: Tensor, energy: Tensor, values: Tensor, valid: Tensor, width: float
) -> Tensor:
    """Average spectra over bins of `width` eV centred at `at` (`batch x bins`).

    The mean of the linear interpolant over each bin, so that all points finer than a
    bin are averaged and coarser ones interpolated; NaN where a bin leaves the data.
    """
    low = integrate(at - width / 2, energy, values, valid)
    return (integrate(at + width / 2, energy, values, valid) - low) / width
