"""Slope of a spectrum, raw and smoothed, and the point where it is greatest.

The rules are those of larch's `find_e0`: a point is steepest only if its neighbours are
steep too, which those of a single glitch are not.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import torch
from torch import Tensor
from torch.nn import functional

from xasnn_stream.physics.ragged import gather, interpolate

_REFINE_POINTS = 75
_HALF_KERNEL = 64
_FAST_LENGTH = 128
"""Transforms of multiples of this many points are fast."""
STEEP = (0.6, 0.3, 0.15)
"""Fractions of the derivative's range above which a point counts as steep."""


def derivative(energy: Tensor, mu: Tensor, valid: Tensor) -> Tensor:
    """Return dμ/dE by central differences in the index, zero beyond the data.

    All arguments are `batch x points`.
    """
    has_next = functional.pad(valid[..., 1:], (0, 1))
    rise = torch.where(valid, _difference(mu, has_next), 0.0)
    return rise / torch.where(valid, _difference(energy, has_next), 1.0)


def _difference(values: Tensor, has_next: Tensor) -> Tensor:
    """Return what lies between the neighbours, or at either end the neighbour and it."""
    following = torch.cat((values[..., 1:], values[..., -1:]), -1)
    previous = torch.cat((values[..., :1], values[..., :-1]), -1)
    return torch.where(has_next, following, values) - previous


def _typical_step(energy: Tensor, valid: Tensor) -> Tensor:
    """Mean of the ten smallest steps, the smallest hundredth of them left out."""
    both = valid[..., 1:] & valid[..., :-1]
    steps = energy.diff().masked_fill(~both, torch.inf)
    # Rounding of the share in single precision may skip one more.
    wanted = min(int(valid.shape[-1] * 0.01) + 11, steps.shape[-1])
    steps = steps.topk(wanted, largest=False).values
    skip = (valid.sum(-1, keepdim=True) * 0.01).long()
    index = skip + torch.arange(10, device=energy.device)
    chosen = steps.gather(-1, index.clamp(max=steps.shape[-1] - 1))
    finite = chosen.isfinite()
    total = torch.where(finite, chosen, 0.0).sum(-1)
    return total / finite.sum(-1).clamp(min=1)


def steepest(slope: Tensor, valid: Tensor, allowed: Tensor) -> Tensor:
    """Return the index of the steepest point whose neighbours are steep too, `batch`."""
    position = torch.arange(slope.shape[-1], device=slope.device)
    count = valid.sum(-1)
    ends = margin(count).unsqueeze(-1)
    inner = (position >= ends) & (position < count.unsqueeze(-1) - ends)
    candidate = inner & allowed
    low = slope.masked_fill(~inner, torch.inf).amin(-1, keepdim=True)
    among = slope.masked_fill(~candidate, -torch.inf)
    high, best = among.max(-1, keepdim=True)
    height = (high - low).clamp(min=1e-10)
    around = torch.cat((best - 1, best, best + 1), -1).clamp(0, slope.shape[-1] - 1)
    sure = ((slope.gather(-1, around) - low) / height > STEEP[0]).all(-1)
    best = best.squeeze(-1)
    if not sure.all():
        rest = ~sure
        relative = (slope[rest] - low[rest]) / height[rest]
        best[rest] = _steep_beside(relative, valid[rest], candidate[rest])
    return best


def _steep_beside(relative: Tensor, valid: Tensor, candidate: Tensor) -> Tensor:
    """Return the greatest of the points whose neighbours are above a threshold as well.

    The threshold is lowered until there is such a point.
    """
    best = torch.zeros_like(relative[:, 0], dtype=torch.long)
    found = torch.zeros_like(best, dtype=torch.bool)
    for threshold in (*STEEP, -torch.inf):
        steep = (relative > threshold) & valid
        neighbours = functional.pad(steep, (1, 1))
        usable = steep & neighbours[..., :-2] & neighbours[..., 2:] & candidate
        index = relative.masked_fill(~usable, -torch.inf).argmax(-1)
        first = usable.any(-1) & ~found
        best = torch.where(first, index, best)
        found = found | first
    return best


def margin(count: Tensor) -> Tensor:
    """Return how many points at either end are never the edge."""
    return (count * 0.02).long().clamp(min=3)


def around(first: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Return the indices of the points around `first` in which e0 is refined.

    Moved to the front of each row, with their validity.
    """
    count = valid.sum(-1)
    early = first < 0.05 * count
    back = torch.where(early, 20, _REFINE_POINTS)
    start = (first - back).clamp(min=3)
    stop = torch.where(early, count, first + _REFINE_POINTS).minimum(count - 3)
    position = torch.arange(valid.shape[-1], device=valid.device)
    near = (position >= start.unsqueeze(-1)) & (position < stop.unsqueeze(-1))
    return _cut(near)


def fine_step(energy: Tensor, valid: Tensor, first: Tensor) -> Tensor:
    """Return the half width of smoothing, `batch`, eV."""
    return 0.5 * (
        _typical_step(energy, valid).clamp(0.01, 1.0)
        + (gather(energy, first) / 25000.0).clamp(0.01, 1.0)
    )


def _cut(near: Tensor) -> tuple[Tensor, Tensor]:
    """Return per row the indices of the True block, moved to the front, and validity."""
    width = max(int(near.sum(-1).max()), 1)
    start = near.to(torch.uint8).argmax(-1, keepdim=True)
    index = start + torch.arange(width, device=near.device)
    inside = torch.arange(width, device=near.device) < near.sum(-1, keepdim=True)
    return index.clamp(max=near.shape[-1] - 1), inside


def smooth(energy: Tensor, values: Tensor, valid: Tensor, step: Tensor) -> Tensor:
    """Convolve with a Lorentzian of half width `step` (`batch`, eV) on a uniform grid."""
    low = energy[..., 0]
    high = energy.masked_fill(~valid, -torch.inf).amax(-1).maximum(low)
    first = ((low - 5 * step) / step).trunc() * step
    n = int(((high - low) / step).max().item()) + 11
    grid = first.unsqueeze(-1) + step.unsqueeze(-1) * torch.arange(
        n, device=energy.device
    )
    inside = torch.maximum(torch.minimum(grid, high.unsqueeze(-1)), low.unsqueeze(-1))
    sampled = interpolate(inside, energy, values, valid)
    offset = torch.arange(-_HALF_KERNEL, _HALF_KERNEL + 1, device=energy.device)
    kernel = 1.0 / (1.0 + offset.to(values.dtype) ** 2)
    kernel = kernel / kernel.sum()
    padded = functional.pad(sampled, (_HALF_KERNEL, _HALF_KERNEL), mode="replicate")
    smoothed = _convolve(padded, kernel)
    place = (energy - first.unsqueeze(-1)) / step.unsqueeze(-1)
    left = place.floor().clamp(0, n - 2)
    y0, y1 = (smoothed.gather(-1, left.long() + k) for k in (0, 1))
    return y0 + (y1 - y0) * (place - left)


def _convolve(padded: Tensor, kernel: Tensor) -> Tensor:
    """Convolve rows with a kernel that is symmetric, where it lies within them.

    By Fourier transforms: direct convolution in float64 is ten times as slow.
    """
    points, taps = padded.shape[-1], kernel.shape[-1]
    length = -(-points // _FAST_LENGTH) * _FAST_LENGTH
    product = torch.fft.rfft(padded, length) * torch.fft.rfft(kernel, length)
    return torch.fft.irfft(product, length)[..., taps - 1 : points]
