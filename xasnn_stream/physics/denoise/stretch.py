"""How fast an absorption spectrum can change, along its energy axis.

Near the edge the core hole's lifetime and the optics round every feature to about an
electronvolt; above, fine structure oscillates in the wavenumber k, so that a feature is
as wide as 2 (ħ²/2m) k δk. Dividing the axis by this width gives a coordinate in which one
smoothness fits the whole spectrum.
"""

import math

import torch
from torch import Tensor

from xasnn_stream.physics.instrument import HC2_OVER_2M_EV_A2

ONSET_EV = -15.0
"""Pre-edge peaks lie above this, relative to e0."""
_FREE_EV = 30.0
"""Above this a photoelectron loses energy to plasmons, which rounds what is sharp; white
lines, some of them 20 eV above e0, are as sharp as the edge."""
_SUBSTEPS = 8
_FINE_STRUCTURE_EV = 20.0
_EDGE_AT_EV, _EDGE_REACH_EV = 5.0, 12.0
_BACKGROUND = 0.1
_BACKGROUND_WITHIN_EV = 4.0


def natural_width(e0: float) -> float:
    """Return the width of the narrowest feature at an edge of energy `e0`, eV.

    The core hole's full width of K edges, 0.85 + 0.0092 (E / keV)² within a tenth of
    the tabulated ones from Cr to Ag (M. Krause and J. Oliver, J. Phys. Chem. Ref. Data
    8, 329 (1979)), and a Si(111) monochromator's, 1.3e-4 E, in quadrature. L3 edges of the
    same energy are wider; what an analyzer crystal narrows has to come undenoised.
    """
    core_hole = 0.85 + 0.0092 * (e0 / 1000.0) ** 2
    return math.hypot(core_hole, 1.3e-4 * e0)


def width(x: Tensor, edge_ev: float, per_k: float) -> Tensor:
    """Return the width of the narrowest feature at `x`, eV relative to e0.

    `edge_ev` is its width at the edge, `per_k` (1/angstrom) that in k above it.
    """
    k = (x.clamp(min=0) / HC2_OVER_2M_EV_A2).sqrt()
    beyond = x.square() / (x.square() + _FREE_EV**2)
    above = 2 * HC2_OVER_2M_EV_A2 * k * per_k * beyond
    return (edge_ev**2 + above**2).sqrt()


def stretched(x: Tensor, edge_ev: float, per_k: float) -> Tensor:
    """Return ∫ dE / width at every point of `x`, `(points,)`, from the first point."""
    part = torch.arange(_SUBSTEPS, dtype=x.dtype, device=x.device) / _SUBSTEPS
    fine = (x[:-1, None] + part * x.diff()[:, None]).reshape(-1)
    fine = torch.cat((fine, x[-1:]))
    rate = 1 / width(fine, edge_ev, per_k)
    total = (0.5 * (rate[1:] + rate[:-1]) * fine.diff()).cumsum(0)
    return torch.cat((total.new_zeros(1), total))[::_SUBSTEPS].contiguous()


def amplitude(x: Tensor, at_edge: float) -> Tensor:
    """Return the size of what may be found at `x`, relative to fine structure.

    Fine structure fades as 1 / x; below the onset there is but a tenth. Rise and
    white line are `at_edge` times higher than fine structure, and a prior that grants
    them so much does not shave them.
    """
    fading = (1 + (x.clamp(min=0) / _FINE_STRUCTURE_EV).square()).rsqrt()
    beyond = (ONSET_EV - x).clamp(min=0) / _BACKGROUND_WITHIN_EV
    edge = 1 + at_edge * torch.exp(-0.5 * ((x - _EDGE_AT_EV) / _EDGE_REACH_EV).square())
    return fading * edge * torch.exp(-beyond) + _BACKGROUND * (x < 0)
