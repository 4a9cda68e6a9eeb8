"""The absorption edge: where it is, by the maximum of the derivative.

The rules follow larch's `find_e0`, so that numbers agree with what users know: e0 is a
measured point, first found on the raw derivative, then refined on a derivative smoothed
with a narrow Lorentzian, and its neighbours must be steep as well, which a single
glitch is not.
"""

import torch
from torch import Tensor
from torch.nn import functional

from xasnn_stream.physics.ragged import gather, interpolate

_REFINE_POINTS = 75
_HALF_KERNEL = 64
_STEEP = (0.6, 0.3, 0.15)
"""Fractions of the derivative's range above which a point counts as steep."""


def derivative(energy: Tensor, mu: Tensor, valid: Tensor) -> Tensor:
    """Return dμ/dE by central differences in the index, zero beyond the data.

    All arguments are `batch x points`.
    """
    return _gradient(mu, valid) / torch.where(valid, _gradient(energy, valid), 1.0)


def find_e0(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor,
    window: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Find e0, the point of maximum slope, in eV, shape `batch`.

    Parameters
    ----------
    energy, mu, valid
        `batch x points`; energies strictly ascending.
    window
        Lowest and highest admissible e0, each `batch`, eV; where no point is admissible
        or none is steep, the result is NaN.
    """
    slope = derivative(energy, mu, valid)
    count = valid.sum(-1)
    allowed = valid if window is None else valid & _within(energy, window)
    first = _steepest(slope, valid, allowed, count)
    fine_step = 0.5 * (
        _typical_step(energy, valid).clamp(0.01, 1.0)
        + (gather(energy, first) / 25000.0).clamp(0.01, 1.0)
    )
    early = first < 0.05 * count
    back = torch.where(early, 20, _REFINE_POINTS)
    start = (first - back).clamp(min=3)
    stop = torch.where(early, count, first + _REFINE_POINTS).minimum(count - 3)
    position = torch.arange(energy.shape[-1], device=energy.device)
    near = (position >= start.unsqueeze(-1)) & (position < stop.unsqueeze(-1))
    shifted, inside = _cut(near)
    energy, mu, valid = (t.gather(-1, shifted) for t in (energy, mu, valid))
    valid, allowed = valid & inside, allowed.gather(-1, shifted) & inside
    slope = derivative(energy, mu, valid)
    smooth = _smooth(energy, slope, valid, fine_step)
    best = _steepest(smooth, valid, allowed, valid.sum(-1))
    found = gather(energy, best)
    return torch.where(allowed.any(-1), found, torch.nan)


def _within(energy: Tensor, window: tuple[Tensor, Tensor]) -> Tensor:
    low, high = window
    return (energy >= low.unsqueeze(-1)) & (energy <= high.unsqueeze(-1))


def _gradient(values: Tensor, valid: Tensor) -> Tensor:
    """Central differences in the index, one-sided at both ends of the valid points."""
    following = torch.cat((values[..., 1:], values[..., -1:]), -1)
    previous = torch.cat((values[..., :1], values[..., :-1]), -1)
    has_next = torch.cat((valid[..., 1:], torch.zeros_like(valid[..., :1])), -1)
    following = torch.where(has_next, following, values)
    span = has_next.to(values.dtype).clone()
    span[..., 1:] += 1
    return torch.where(valid, (following - previous) / span.clamp(min=1), 0.0)


def _typical_step(energy: Tensor, valid: Tensor) -> Tensor:
    """Mean of the ten smallest steps, the smallest hundredth of them left out."""
    both = valid[..., 1:] & valid[..., :-1]
    steps = energy.diff().masked_fill(~both, torch.inf).sort(-1).values
    skip = (valid.sum(-1, keepdim=True) * 0.01).long()
    index = skip + torch.arange(10, device=energy.device)
    chosen = steps.gather(-1, index.clamp(max=steps.shape[-1] - 1))
    finite = chosen.isfinite()
    total = torch.where(finite, chosen, 0.0).sum(-1)
    return total / finite.sum(-1).clamp(min=1)


def _steepest(slope: Tensor, valid: Tensor, allowed: Tensor, count: Tensor) -> Tensor:
    """Return the index of the steepest point whose neighbours are steep too, `batch`."""
    position = torch.arange(slope.shape[-1], device=slope.device)
    margin = (count * 0.02).long().clamp(min=3).unsqueeze(-1)
    inner = (position >= margin) & (position < count.unsqueeze(-1) - margin)
    low = slope.masked_fill(~inner, torch.inf).amin(-1, keepdim=True)
    high = slope.masked_fill(~(inner & allowed), -torch.inf).amax(-1, keepdim=True)
    relative = (slope - low) / (high - low).clamp(min=1e-10)
    best = torch.zeros_like(count)
    found = torch.zeros_like(count, dtype=torch.bool)
    for threshold in (*_STEEP, -torch.inf):
        steep = (relative > threshold) & valid
        neighbours = functional.pad(steep, (1, 1))
        candidate = steep & neighbours[..., :-2] & neighbours[..., 2:] & inner & allowed
        index = relative.masked_fill(~candidate, -torch.inf).argmax(-1)
        usable = candidate.any(-1) & ~found
        best = torch.where(usable, index, best)
        found = found | usable
    return best


def _cut(near: Tensor) -> tuple[Tensor, Tensor]:
    """Return per row the indices of the True block, moved to the front, and validity."""
    width = max(int(near.sum(-1).max()), 1)
    start = near.to(torch.uint8).argmax(-1, keepdim=True)
    index = start + torch.arange(width, device=near.device)
    inside = torch.arange(width, device=near.device) < near.sum(-1, keepdim=True)
    return index.clamp(max=near.shape[-1] - 1), inside


def _smooth(energy: Tensor, values: Tensor, valid: Tensor, step: Tensor) -> Tensor:
    """Convolve with a Lorentzian of half width `step` (`batch`, eV) on a uniform grid."""
    low = energy[..., 0]
    high = energy.masked_fill(~valid, -torch.inf).amax(-1)
    first = ((low - 5 * step) / step).trunc() * step
    n = int(((high - low) / step).max().item()) + 11
    grid = first.unsqueeze(-1) + step.unsqueeze(-1) * torch.arange(
        n, device=energy.device
    )
    inside = torch.maximum(torch.minimum(grid, high.unsqueeze(-1)), low.unsqueeze(-1))
    sampled = interpolate(inside, energy, values, valid)
    offset = torch.arange(-_HALF_KERNEL, _HALF_KERNEL + 1, device=energy.device)
    kernel = 1.0 / (1.0 + offset.to(values.dtype) ** 2)
    kernel = (kernel / kernel.sum()).reshape(1, 1, -1)
    padded = functional.pad(
        sampled.unsqueeze(1), (_HALF_KERNEL, _HALF_KERNEL), mode="replicate"
    )
    smooth = functional.conv1d(padded, kernel).squeeze(1)
    everywhere = torch.ones_like(grid, dtype=torch.bool)
    return interpolate(energy, grid, smooth, everywhere).nan_to_num()
