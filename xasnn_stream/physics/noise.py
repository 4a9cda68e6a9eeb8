"""Noise of a spectrum, and points that leave it, from the spectrum itself."""

import torch
from torch import Tensor

_NEIGHBOURS = (-2, -1, 1, 2)
_GAUSSIAN_MAD = 1.4826
"""Standard deviation of a Gaussian over its median absolute deviation."""

_OUTLIER_SIGMA = 6.0
_OUTLIER_STEP, _OUTLIER_AT_EDGE = 0.008, 0.02
"""Of the edge step: what measured spectra without a glitch stay below, where points
resolve them, and what the rise itself, which bends faster, stays below."""
_EDGE_EV = 8.0
_RESOLVED_AT_EDGE_EV = 1.0
_RESOLVED_EV, _RESOLVED_AT_EV = 2.0, 30.0
"""Spacing of points that resolves the rise, and fine structure at 30 eV; fine structure
is periodic in k, so its width in energy grows as the root of the energy."""


def point_noise(energy: Tensor, curve: Tensor, valid: Tensor, low: Tensor) -> Tensor:
    """Return the noise of one point of a curve, `batch`, in the curve's unit.

    Each point is compared with the cubic through its four neighbours; the residual,
    divided by the norm of its weights, has the noise's standard deviation. The median
    over points above `low` (`batch`, eV) disregards glitches and the few points where
    the spectrum bends faster than a cubic over four steps.
    """
    scaled = _residual(energy, curve).abs()
    inner = slice(2, energy.shape[-1] - 2)
    used = valid[:, 4:] & (energy[:, inner] > low.unsqueeze(-1)) & scaled.isfinite()
    return _GAUSSIAN_MAD * scaled.masked_fill(~used, torch.nan).nanmedian(-1).values


def outliers(
    energy: Tensor, norm: Tensor, valid: Tensor, noise: Tensor, e0: Tensor
) -> Tensor:
    """Return which points of a normalized curve leave it, `batch x points`.

    A glitch stands off the cubic through its four neighbours, and so do the two points
    on either side of a jump. `noise` and `e0` are `batch`.
    """
    points = energy.shape[-1]
    relative = energy[:, 2 : points - 2] - e0.unsqueeze(-1)
    least = torch.where(relative.abs() < _EDGE_EV, _OUTLIER_AT_EDGE, _OUTLIER_STEP)
    gaps = energy.diff()
    spacing = torch.stack([gaps[:, k : points - 4 + k] for k in range(4)]).amax(0)
    # A curve that is not resolved leaves the cubic by the square of the spacing at least.
    unresolved = (spacing / _resolved(relative)).clamp(min=1).square()
    limit = torch.maximum(least * unresolved, _OUTLIER_SIGMA * noise.unsqueeze(-1))
    found = torch.zeros_like(valid)
    found[:, 2 : points - 2] = (_residual(energy, norm).abs() > limit) & valid[:, 4:]
    return found


def _resolved(relative: Tensor) -> Tensor:
    """Return the spacing (eV) that resolves a spectrum, at energies relative to e0."""
    above = _RESOLVED_EV * (relative / _RESOLVED_AT_EV).clamp(min=1).sqrt()
    at_edge = relative.abs() < _EDGE_EV
    width = torch.where(at_edge, _RESOLVED_AT_EDGE_EV, above)
    return torch.where(relative <= -_EDGE_EV, torch.inf, width)


def _residual(energy: Tensor, curve: Tensor) -> Tensor:
    """Return each inner point's distance from the cubic through its four neighbours.

    It is divided by the norm of its weights; `batch x (points - 4)`.
    """
    points = energy.shape[-1]
    inner = slice(2, points - 2)
    centre = energy[:, inner]
    around = [energy[:, 2 + k : points - 2 + k] - centre for k in _NEIGHBOURS]
    residual, norm = curve[:, inner], torch.ones_like(centre)
    for j, k in enumerate(_NEIGHBOURS):
        weight = torch.ones_like(centre)
        for i, other in enumerate(around):
            if i != j:
                weight = weight * other / (other - around[j])
        residual = residual - weight * curve[:, 2 + k : points - 2 + k]
        norm = norm + weight**2
    return residual / norm.sqrt()


def bin_noise(
    at: Tensor, energy: Tensor, valid: Tensor, noise: Tensor, width: float
) -> Tensor:
    """Return the noise of bins of `width` eV at `at`, `batch x bins`.

    A bin averages the width / spacing points in it; where points are farther apart than
    a bin it is interpolated and has the noise of a point, which neighbouring bins then
    share: this is the size of the noise, not its covariance.
    """
    index = torch.searchsorted(
        energy.masked_fill(~valid, torch.inf).contiguous(), at.contiguous()
    )
    last = valid.sum(-1, keepdim=True) - 1
    right = torch.minimum(index.clamp(min=1), last)
    spacing = energy.gather(-1, right) - energy.gather(-1, right - 1)
    share = (spacing / width).clamp(max=1.0)
    return noise.unsqueeze(-1) * share.sqrt()
