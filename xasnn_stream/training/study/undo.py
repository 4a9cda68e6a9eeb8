"""Estimated nuisances, undone: what remains should be read linearly.

Coordination numbers are linear in the mixture of sites, and what stands between a
mixture and its measured difference spectrum is a handful of numbers. Shifts are undone
for every arm, by aligning edges; here follow step, slope, stretch, broadening and
amplitude.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from xasnn_stream.physics.instrument import broaden, distort_energy, resample
from xasnn_stream.training.nuisances import Stage, on_grid
from xasnn_stream.training.study.views import edges

ESTIMATED = ("step", "slope", "stretch", "width", "amplitude")
"""Step and slope of the sample against the foil's; width is of both, eV FWHM."""

_WIDEST_EV = 3.0
"""Undoing cannot sharpen: all are brought to this width instead."""


def nuisance_labels(sizes: Mapping[str, Tensor]) -> Tensor:
    """Return what an estimator learns, `draws x estimated`, of what was drawn.

    `sizes` are `1 x draws`, or `2 x draws` where sample and foil differ.
    """
    step = (1 + sizes["edge_step"][0]) / (1 + sizes["edge_step"][1]) - 1
    slope = sizes["slope_per_100ev"][0] - sizes["slope_per_100ev"][1]
    stretch = sizes["stretch"][0] + sizes["energy_scale"].mean(0)
    width = torch.hypot(sizes["broadening"][0], sizes["resolution"].mean(0))
    return torch.stack((step, slope, stretch, width, sizes["amplitude"][0]), -1)


def undo(on: Stage, difference: Tensor, estimates: Tensor) -> Tensor:
    """Return difference spectra, `draws x bins`, without their estimated nuisances."""
    step, slope, stretch, width, amplitude = estimates.unsqueeze(1).unbind(-1)
    foil = _foil(on, stretch.squeeze(1), width.squeeze(1))
    above = (on.grid - on.edge_at).clamp(min=0)
    even = (difference - step * foil - slope * above / 100) / amplitude
    at = on.edge_at + stretch * (on.grid - on.edge_at)
    narrow = resample(even, on.grid, at)
    missing = (_WIDEST_EV**2 - width.square()).clamp(min=0).sqrt()
    return broaden(narrow, on.grid, missing.squeeze(1))


def _foil(on: Stage, stretch: Tensor, width: Tensor) -> Tensor:
    """Return the foil as it looks under some stretch and width, `draws x bins`."""
    curves = on.foil.expand(len(width), -1)
    curves = distort_energy(curves, on.x, torch.zeros_like(width), stretch)
    curves = broaden(curves, on.x, width.clamp(min=0))
    return on_grid(on, curves, edges(on, curves))
