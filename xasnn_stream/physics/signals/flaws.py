"""What glitches and jumps have in common: a smooth curve and one simple defect.

A short window of a spectrum is a quartic in energy. A defect, one point that stands off
or a step between two points, is one more column beside it; found is what explains the
window: the defect must be many times what remains beside it, so that a peak, whose whole
neighbourhood bends, is none.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from xasnn_stream.physics.noise.points import GAUSSIAN_MAD, off_neighbours

_DEGREE = 4
_NOISE_POINTS, _NOISE_CHANGES = 48, 1.4
"""Counting noise changes along a scan. So many points on either side tell the noise to a
sixth; below that factor the change may be chance, and the whole scan tells it better."""
_ROUGH = 1.8
"""What remains of a dozen points exceeds the noise by chance up to this factor."""
_EDGE_EV = (-30.0, 40.0)
"""About e0: pre-edge peaks of oxides, white lines and multiple scattering."""
_WIDTH_EV, _WIDTH_PER_EV = 0.5, 1e-4
"""Nothing physical is narrower: core hole and monochromator, which grows with energy."""
_POINTS_PER_WIDTH = 3.0
_SEEN_WIDTHS = 0.8
"""Points this close, in such widths, share a line: the higher neighbour of its top has a
sixth of it, and what that has over the points beyond is no eighth of what the top has."""
_SPIKE_SHARE, _SPIKE, _SPIKE_SIGMA, _ANY_SPIKE = 8.0, 0.1, 10.0, 12.0
"""How far a spike rises over its neighbours: times what these rise over theirs, in edge
steps, in noise of a point, and, in steps, where no white line is as high."""
_BESIDE_JUMP = 3
_TINY = 1e-300
_BELOW, _ABOVE = (10.0, 60.0)


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Short stretches of spectra about candidate points.

    `row` and `at` (the candidate's place in its window) are `windows`, `index` (of the
    points) and `values` `windows x points`; `smooth` projects a curve on what no quartic
    explains, `windows x points x points`; `noise` is that of a point, `windows`.
    """

    row: Tensor
    at: Tensor
    index: Tensor
    values: Tensor
    smooth: Tensor
    noise: Tensor

    def rest(self, values: Tensor) -> Tensor:
        """Return what the quartic leaves of curves, `windows x points`."""
        return (self.smooth @ values.unsqueeze(-1)).squeeze(-1)


def bend(energy: Tensor, curve: Tensor) -> Tensor:
    """Return each point's distance from the cubic through its four neighbours.

    In units that have the noise of a point; zero at the two points at either end.
    `batch x points`.
    """
    return functional.pad(off_neighbours(energy, curve), (2, 2))


def inner(valid: Tensor) -> Tensor:
    """Return which points have two neighbours on either side, `batch x points`."""
    padded = functional.pad(valid, (2, 2))
    return padded[..., :-4] & valid & padded[..., 4:]


def typical(curve: Tensor, used: Tensor) -> Tensor:
    """Return the robust standard deviation of the used points of a bend, `batch`."""
    masked = curve.abs().masked_fill(~used, torch.nan)
    return GAUSSIAN_MAD * masked.nanmedian(-1).values


def windows(
    energy: Tensor, curve: Tensor, bent: Tensor, valid: Tensor, found: Tensor, half: int
) -> Windows:
    """Cut windows of 2·half + 1 points about the points in `found`, `batch x points`.

    Rows that are shorter have none. `bent` is the `bend` of the curve.
    """
    width = 2 * half + 1
    count = valid.sum(-1)
    row, col = (found & (count >= width).unsqueeze(-1)).nonzero(as_tuple=True)
    last = count[row]
    start = torch.minimum((col - half).clamp(min=0), last - width)
    index = start.unsqueeze(-1) + torch.arange(width, device=energy.device)
    x = energy[row.unsqueeze(-1), index]
    t = 2 * (x - x.mean(-1, keepdim=True)) / (x[:, -1:] - x[:, :1])
    basis = torch.linalg.qr(t.unsqueeze(-1) ** torch.arange(_DEGREE + 1).to(t)).Q
    smooth = torch.eye(width).to(t) - basis @ basis.transpose(-1, -2)
    around = torch.arange(-_NOISE_POINTS, _NOISE_POINTS + 1, device=energy.device)
    near = col.unsqueeze(-1) + around
    usable = (near >= 2) & (near < (last - 2).unsqueeze(-1))
    near = near.clamp(min=0).minimum((last - 1).unsqueeze(-1))
    here = typical(bent[row.unsqueeze(-1), near], usable)
    whole = typical(bent, inner(valid))[row]
    changed = torch.maximum(here / whole, whole / here) > _NOISE_CHANGES
    noise = torch.where(changed, here, whole)
    return Windows(
        row, col - start, index, curve[row.unsqueeze(-1), index], smooth, noise
    )


def stands_out(
    defect: Tensor, remaining: Tensor, freedom: int, noise: Tensor
) -> Tensor:
    """Return how many times what remains beside it a defect is.

    `defect` (its standard deviation is the noise's), `remaining` (sum of squares with
    so many degrees of freedom) and `noise` broadcast.
    """
    left = (remaining.clamp(min=0) / freedom).sqrt()
    spread = torch.where(left > _ROUGH * noise, left, noise)
    return defect / spread.clamp(min=_TINY)


@dataclass(frozen=True, slots=True, eq=False)
class Jump:
    """The jump that explains each window best; all `windows`.

    `first` is the place of the first point behind it, `height` its height, of which the
    variance is a point's over `weight`; it explains `gain` of the sum of squares, leaves
    `left` of each point, and stands out by `ratio`.
    """

    first: Tensor
    height: Tensor
    weight: Tensor
    gain: Tensor
    left: Tensor
    ratio: Tensor


def best_jump(cut: Windows, reach: int) -> Jump:
    """Fit a quartic and a jump at most `reach` points from the candidate of a window."""
    width = cut.values.shape[-1]
    offset = torch.arange(-reach, reach + 1, device=cut.at.device)
    first = (cut.at.unsqueeze(-1) + offset).clamp(_BESIDE_JUMP, width - _BESIDE_JUMP)
    place = torch.arange(width, device=cut.at.device)
    behind = (place >= first.unsqueeze(-1)).to(cut.values.dtype)
    defect = behind @ cut.smooth
    weight = (defect * behind).sum(-1)
    height = (defect @ cut.values.unsqueeze(-1)).squeeze(-1) / weight
    gain, best = (height.square() * weight).max(-1)
    first, height, weight = (
        t.gather(-1, best.unsqueeze(-1)).squeeze(-1) for t in (first, height, weight)
    )
    freedom = width - _DEGREE - 2
    remaining = (cut.rest(cut.values).square().sum(-1) - gain).clamp(min=0)
    left = (remaining / freedom).sqrt()
    # Fine structure bends as a jump does, so that whatever remains counts against it.
    ratio = gain.sqrt() / torch.maximum(left, cut.noise).clamp(min=_TINY)
    return Jump(first, height, weight, gain, left, ratio)


def near_edges(energy: Tensor, e0: Tensor, others: Sequence[float] = ()) -> Tensor:
    """Return where a spectrum has peaks and rises, `batch x points`.

    About `e0` (`batch`) and `others`, further edges within the scans, eV.
    """
    near = _about(energy - e0.unsqueeze(-1))
    for edge in others:
        near = near | _about(energy - edge)
    return near


def may_be_sharp(energy: Tensor, valid: Tensor, near: Tensor) -> Tensor:
    """Return where one point may be a feature of the sample, `batch x points`.

    That is `near` an edge, unless its neighbours are so close that nothing physical fits
    between them.
    """
    return near & (_spacing(energy, valid) > _width(energy) / _POINTS_PER_WIDTH)


def surely_alone(energy: Tensor, norm: Tensor, valid: Tensor, noise: Tensor) -> Tensor:
    """Return which points leave their neighbours as no line of a sample can.

    A line would show in the neighbours, unless they are far. `norm` is μ in edge steps,
    `noise` (`batch`) that of a point; `batch x points`.
    """
    middle = norm[..., 2:-2]
    sign = (middle - norm[..., 1:-3]).sign()
    beside = torch.maximum(
        sign * (norm[..., 1:-3] - norm[..., :-4]),
        sign * (norm[..., 3:-1] - norm[..., 4:]),
    )
    least = _SPIKE_SHARE * beside.clamp(min=0) + _SPIKE
    least = functional.pad(least, (2, 2)) + _SPIKE_SIGMA * noise.unsqueeze(-1)
    over = _over_neighbours(norm)
    seen = _spacing(energy, valid) < _SEEN_WIDTHS * _width(energy)
    return inner(valid) & (((over > least) & seen) | (over > _ANY_SPIKE))


def _spacing(energy: Tensor, valid: Tensor) -> Tensor:
    """Return the wider of the gaps beside each point, eV."""
    gaps = torch.where(valid[..., 1:] & valid[..., :-1], energy.diff(), 0.0)
    return torch.maximum(functional.pad(gaps, (1, 0)), functional.pad(gaps, (0, 1)))


def _width(energy: Tensor) -> Tensor:
    """Return the width below which nothing physical is, eV."""
    return _WIDTH_EV + _WIDTH_PER_EV * energy


def _over_neighbours(norm: Tensor) -> Tensor:
    """Return how far points leave the range of their two neighbours, at least zero."""
    middle = norm[..., 1:-1]
    beside = torch.stack((norm[..., :-2], norm[..., 2:]))
    over = torch.maximum(middle - beside.amax(0), beside.amin(0) - middle)
    return functional.pad(over.clamp(min=0), (1, 1))


def edge_step(energy: Tensor, mu: Tensor, valid: Tensor, e0: Tensor) -> Tensor:
    """Return roughly how high the edge is, `batch`, whatever glitches there are.

    Medians above and below the edge; where there is nothing on one side, four times the
    median deviation, which is the range of evenly spread readings. Positive.
    """
    relative = energy - e0.unsqueeze(-1)

    def middle(low: float, high: float) -> Tensor:
        used = valid & (relative >= low) & (relative <= high)
        return mu.masked_fill(~used, torch.nan).nanmedian(-1).values

    step = (middle(_BELOW, _ABOVE) - middle(-_ABOVE, -_BELOW)).abs()
    deviation = (mu - middle(-torch.inf, torch.inf).unsqueeze(-1)).abs()
    spread = 4 * deviation.masked_fill(~valid, torch.nan).nanmedian(-1).values
    step = torch.where(step.isfinite() & (step > 0), step, spread)
    return step.nan_to_num(0.0).clamp(min=torch.finfo(mu.dtype).tiny)


def _about(relative: Tensor) -> Tensor:
    low, high = _EDGE_EV
    return (relative > low) & (relative < high)
