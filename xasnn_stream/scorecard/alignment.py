"""Bringing repeats together: what drifts between scans is not noise of their points.

A scan differs from the mean of the others by more than noise: its edge step and
background drift with detector and beam, its energy axis with the monochromator, during
the scan as well. Each scan is therefore described by the mean of the others, A, as
μ(E) = c A(E - s(E)) + p(E), with a factor c, a cubic p and a shift s that is linear
between knots across the edge, by least squares. What a fit takes of the noise is known
from its leverages.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.physics.ragged import interpolate

_EDGE_EV = (-12.0, 16.0)
"""Relative to e0: where the slope is so steep that a shift is told from noise."""
_KNOT_POINTS = 10
"""A drift is slower than this; what is faster is noise."""
_CUBIC = 4
_ROUNDS = 3
_SCALE_EV = 300.0


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """Repeats beside what the others say; all `scans x points`.

    `target` is the mean of the other scans brought onto a scan's axis and scale, at
    `at` of the common `axis` (`1 x points`) and times `factor` (`scans x 1`); `basis`
    (`scans x points x columns`) is orthonormal and spans what the fit follows.
    """

    target: Tensor
    at: Tensor
    axis: Tensor
    factor: Tensor
    basis: Tensor

    def of_noise(self, noise: Tensor) -> Tensor:
        """Return what noise of the scans adds to the target, both `scans x points`."""
        valid = torch.ones_like(noise, dtype=torch.bool)
        together = _onto(self.axis, self.at, noise / self.factor, valid)
        others = _at(self.at, self.axis, _others(together)) * self.factor
        own = self.basis.mT @ (noise - others).unsqueeze(-1)
        return others + (self.basis @ own).squeeze(-1)


def align(energy: Tensor, mu: Tensor, e0: float) -> Aligned:
    """Compare each scan (`scans x points`, ascending) with the mean of the others."""
    valid = torch.ones_like(mu, dtype=torch.bool)
    axis = energy[:1]
    together = _onto(axis, energy, mu, valid)
    fit = _fit(energy, mu, axis, _others(together), torch.zeros_like(mu), e0)
    for _ in range(_ROUNDS):
        together = _onto(axis, energy - fit.shift, (mu - fit.rest) / fit.factor, valid)
        fit = _fit(energy, mu, axis, _others(together), fit.shift, e0)
    return Aligned(fit.target, energy - fit.shift, axis, fit.factor, fit.basis)


def _others(together: Tensor) -> Tensor:
    """Return for each scan the mean of the others."""
    return (together.sum(0, keepdim=True) - together) / (len(together) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    target: Tensor
    shift: Tensor
    factor: Tensor
    rest: Tensor
    basis: Tensor


def _fit(
    energy: Tensor, mu: Tensor, axis: Tensor, others: Tensor, shift: Tensor, e0: float
) -> _Fit:
    """Fit factor, cubic and a change of the shift, linearized about `shift`."""
    curve = _at(energy - shift, axis, others)
    slope = _at(energy - shift, axis, _slope(axis, others))
    x = energy - e0
    hats = _hats(x, axis[0] - e0)
    powers = [(x / _SCALE_EV) ** power for power in range(_CUBIC)]
    columns = [curve, *powers, *(hat * slope for hat in hats)]
    design = torch.stack(columns, -1)
    # Without its own norm a column of a flat region would make the fit singular.
    norm = design.square().sum(1, keepdim=True).sqrt().clamp(min=1e-12)
    q, r = torch.linalg.qr(design / norm)
    solution = torch.linalg.solve_triangular(r, q.mT @ mu.unsqueeze(-1), upper=True)
    weights = (solution.squeeze(-1) / norm.squeeze(1)).unsqueeze(1)
    factor = weights[:, :, 0]
    change = (weights[:, :, 1 + _CUBIC :] * torch.stack(hats, -1)).sum(-1)
    rest = (weights[:, :, 1 : 1 + _CUBIC] * torch.stack(powers, -1)).sum(-1)
    return _Fit(
        target=(design * weights).sum(-1),
        shift=shift - change / factor,
        factor=factor,
        rest=rest,
        basis=q,
    )


def _hats(x: Tensor, axis: Tensor) -> list[Tensor]:
    """Return functions that are one at a knot and zero at the others; flat outside."""
    inside = (axis >= _EDGE_EV[0]) & (axis <= _EDGE_EV[1])
    knots = axis[inside][::_KNOT_POINTS].contiguous()
    inside = x.clamp(float(knots[0]), float(knots[-1])).contiguous()
    left = (torch.searchsorted(knots, inside, right=True) - 1).clamp(max=len(knots) - 2)
    share = (inside - knots[left]) / (knots[left + 1] - knots[left])
    return [
        torch.where(left == knot, 1 - share, 0.0)
        + torch.where(left + 1 == knot, share, 0.0)
        for knot in range(len(knots))
    ]


def _slope(axis: Tensor, curves: Tensor) -> Tensor:
    (slope,) = torch.gradient(curves, spacing=(axis[0],), dim=-1)
    return slope


def _onto(axis: Tensor, energy: Tensor, mu: Tensor, valid: Tensor) -> Tensor:
    """Interpolate each scan on a common axis; ends continue."""
    at = torch.maximum(torch.minimum(axis, energy[:, -1:]), energy[:, :1])
    return interpolate(at, energy, mu, valid)


def _at(at: Tensor, axis: Tensor, curves: Tensor) -> Tensor:
    """Interpolate curves on the common axis at each scan's own energies."""
    inside = at.clamp(float(axis[0, 0]), float(axis[0, -1]))
    everywhere = torch.ones_like(curves, dtype=torch.bool)
    return interpolate(inside, axis.expand_as(curves), curves, everywhere)
