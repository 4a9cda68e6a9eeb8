"""Noise of a spectrum, and points that leave it, from the spectrum itself."""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import torch
from torch import Tensor
from torch.nn import functional

from xasnn_stream.physics.ragged import interpolate

_NEIGHBOURS = (-2, -1, 1, 2)
GAUSSIAN_MAD = 1.4826
"""Standard deviation of a Gaussian over its median absolute deviation."""

NOISE_FROM_EV = 8.0
"""Above e0: noise is read behind the rise, which bends faster than points resolve."""

_OUTLIER_SIGMA = 6.0
_OUTLIER_STEP, _OUTLIER_AT_EDGE = 0.008, 0.02
"""Of the edge step: what measured spectra without a glitch stay below, where points
resolve them, and what the rise itself, which bends faster, stays below."""
_EDGE_EV = 8.0
_RESOLVED_AT_EDGE_EV = 0.7
_RESOLVED_EV, _RESOLVED_AT_EV = 2.0, 30.0
"""Spacing of points that resolves the rise, and fine structure at 30 eV; fine structure
is periodic in k, so its width in energy grows as the root of the energy."""

_FAR_NEIGHBOURS = (-3, -2, -1, 1, 2, 3)
"""For the noise at each point: a quintic follows fine structure that a cubic does not."""
_BLOCK, _STRIDE = 31, 15
"""Points whose residuals one local noise is taken of, which gives it to 20 %."""
_LEAST_OF_BLOCK = 11
_CLIP_SIGMA, _LEFT_BY_CLIP = 2.5, 0.9776
"""Residuals count up to so many sigma, for glitches; what that leaves of a variance."""
_NOT_NOISE_EV = (-10.0, 15.0)
"""Around e0, where bending between points passes for noise."""


def point_noise(energy: Tensor, curve: Tensor, valid: Tensor, low: Tensor) -> Tensor:
    """Return the noise of one point of a curve, `batch`, in the curve's unit.

    Each point is compared with the cubic through its four neighbours; the residual,
    divided by the norm of its weights, has the noise's standard deviation. The median
    over points above `low` (`batch`, eV) disregards glitches and the few points where
    the spectrum bends faster than a cubic over four steps.
    """
    scaled = off_neighbours(energy, curve).abs()
    inner = slice(2, energy.shape[-1] - 2)
    used = valid[:, 4:] & (energy[:, inner] > low.unsqueeze(-1)) & scaled.isfinite()
    return GAUSSIAN_MAD * scaled.masked_fill(~used, torch.nan).nanmedian(-1).values


def local_noise(
    energy: Tensor, curve: Tensor, valid: Tensor, e0: Tensor | None = None
) -> Tensor:
    """Return the noise of each point from the points around it, `batch x points`.

    Noise changes along a scan, with the counting time and the beam. Each point is
    compared with the quintic through its six neighbours; the clipped mean square of 31
    residuals is the noise at their centre, with straight lines between centres. Around
    `e0` (`batch`, eV), where given, the noise is that of either side. NaN where a
    spectrum has fewer than 17 points.
    """
    batch, points = energy.shape
    reach = len(_FAR_NEIGHBOURS) // 2
    residual = torch.full_like(curve, torch.nan)
    if points > 2 * reach:
        inner = slice(reach, points - reach)
        used = valid[:, 2 * reach :] & ~_around(energy[:, inner], e0)
        found = off_neighbours(energy, curve, _FAR_NEIGHBOURS)
        residual[:, inner] = torch.where(used & found.isfinite(), found, torch.nan)
    level, enough = _in_blocks(residual)
    order = (~enough).to(torch.uint8).argsort(dim=-1, stable=True)
    enough, level = enough.gather(-1, order), level.gather(-1, order)
    last = (enough.sum(-1, keepdim=True) - 1).clamp(min=0)
    level = torch.where(enough, level, level.gather(-1, last))
    centre = (order * _STRIDE).to(level.dtype)
    at = torch.arange(points, dtype=level.dtype, device=level.device)
    at = at.expand(batch, -1).clamp(centre[:, :1], centre.gather(-1, last))
    return interpolate(at, centre, level, enough)


def _in_blocks(residual: Tensor) -> tuple[Tensor, Tensor]:
    """Return the noise of blocks around every 15th point, and if it has enough points.

    Both are `batch x blocks`; residuals that do not count are NaN.
    """
    points = residual.shape[-1]
    half = _BLOCK // 2
    missing = (1 + max(-(-points // _STRIDE), 1)) * _STRIDE + 1 - points
    padded = functional.pad(residual, (half, missing), value=torch.nan)
    blocks = padded.unfold(-1, _BLOCK, _STRIDE).abs()
    limit = _CLIP_SIGMA * GAUSSIAN_MAD * blocks.nanmedian(-1, keepdim=True).values
    square = torch.minimum(blocks, limit).square().nanmean(-1) / _LEFT_BY_CLIP
    enough = blocks.isfinite().sum(-1) >= _LEAST_OF_BLOCK
    return square.sqrt().masked_fill(~enough, torch.nan), enough


def _around(energy: Tensor, e0: Tensor | None) -> Tensor:
    if e0 is None:
        return torch.zeros_like(energy, dtype=torch.bool)
    relative = energy - e0.unsqueeze(-1)
    low, high = _NOT_NOISE_EV
    return (relative > low) & (relative < high)


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
    found[:, 2 : points - 2] = (off_neighbours(energy, norm).abs() > limit) & valid[
        :, 4:
    ]
    return found


def _resolved(relative: Tensor) -> Tensor:
    """Return the spacing (eV) that resolves a spectrum, at energies relative to e0."""
    above = _RESOLVED_EV * (relative / _RESOLVED_AT_EV).clamp(min=1).sqrt()
    at_edge = relative.abs() < _EDGE_EV
    width = torch.where(at_edge, _RESOLVED_AT_EDGE_EV, above)
    return torch.where(relative <= -_EDGE_EV, torch.inf, width)


def off_neighbours(
    energy: Tensor, curve: Tensor, neighbours: tuple[int, ...] = _NEIGHBOURS
) -> Tensor:
    """Return each inner point's distance from the polynomial through its neighbours.

    It is divided by the norm of its weights; `batch x (points - neighbours)`.
    """
    points, reach = energy.shape[-1], len(neighbours) // 2
    inner = slice(reach, points - reach)
    centre = energy[:, inner]
    around = [energy[:, reach + k : points - reach + k] - centre for k in neighbours]
    residual, norm = curve[:, inner], torch.ones_like(centre)
    for j, k in enumerate(neighbours):
        weight = torch.ones_like(centre)
        for i, other in enumerate(around):
            if i != j:
                weight = weight * other / (other - around[j])
        residual = residual - weight * curve[:, reach + k : points - reach + k]
        norm = norm + weight**2
    return residual / norm.sqrt()


def bin_noise(
    at: Tensor, energy: Tensor, valid: Tensor, noise: Tensor, width: float
) -> Tensor:
    """Return the noise of bins of `width` eV at `at`, `batch x bins`.

    `noise` is that of a point, `batch`, or of the points about each bin, `batch x bins`.
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
    each = noise if noise.dim() == 2 else noise.unsqueeze(-1)
    return each * share.sqrt()
