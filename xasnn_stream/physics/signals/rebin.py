"""Rebinning to the three regions of a step scan: pre-edge, edge, and EXAFS even in k.

Grid, bins and values are those of larch's `rebin_xafs`; every bin also has its noise and
says whether it averages points or lies between two.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from xasnn_stream.physics.exafs.wavenumber import above_edge_ev, wavenumber
from xasnn_stream.physics.noise.points import local_noise
from xasnn_stream.physics.ragged import gather, segment
from xasnn_stream.physics.settings import Rebinning

_LEAST_TO_AVERAGE = 3
"""Points; a bin that holds fewer is interpolated."""
_FIRST_BIN_EV = 5.0
"""Points so far below the first bin belong to it."""
_XANES_STEP_EV, _XANES_PER_EV = 0.05, 1250.0
_LEAST_K_STEPS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Rebinned:
    """Spectra on bins, all `batch x bins`; `valid` is a prefix of each row.

    `noise` is the standard deviation of `mu` by counting noise. `interpolated` bins hold
    fewer than three points and lie on the line between two, whose noise neighbours share.
    """

    energy: Tensor
    mu: Tensor
    valid: Tensor
    noise: Tensor
    interpolated: Tensor


def rebin(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor,
    e0: Tensor,
    settings: Rebinning,
    noise: Tensor | None = None,
) -> Rebinned:
    """Average spectra over the bins of a step scan, as larch's `rebin_xafs` does.

    Parameters
    ----------
    energy, mu, valid
        `batch x points`; energies in eV, strictly ascending, all finite.
    e0
        Edge energies, `batch`, eV: the origin of all regions.
    settings
        Regions and steps; `boxcar` is the mean of a bin's points, `centroid` their mean
        weighted by their energies.
    noise
        Standard deviation of every point, `batch x points`; without it that of the points
        around it, from the spectrum itself.
    """
    kind, mu = mu.dtype, mu.double()
    noise = local_noise(energy, mu, valid, e0) if noise is None else noise.double()
    at, inside = _grid(energy, valid, e0, settings)
    first, stop = _segments(at, inside, energy, valid)
    count = stop - first
    weight = energy / energy[:, :1] if settings.method == "centroid" else None
    total, square = _sums(mu, noise, weight, first, stop)
    whole = count if weight is None else _between(weight, first, stop)
    left, share = beside(at, energy, valid)
    between = mix(mu, left, 1 - share, share)
    shared = mix(noise.square(), left, (1 - share).square(), share.square())
    # What continues a short row is finite as well, for it is multiplied by zero later.
    few = (count < _LEAST_TO_AVERAGE) | ~inside
    whole = torch.where(few, 1, whole)
    values = torch.where(few, between, total / whole)
    spread = torch.where(few, shared, square / whole**2).sqrt()
    return Rebinned(at, values.to(kind), inside, spread.to(kind), few & inside)


def _grid(
    energy: Tensor, valid: Tensor, e0: Tensor, settings: Rebinning
) -> tuple[Tensor, Tensor]:
    """Return the bins' energies and which of them a row has, `batch x bins`."""
    starts, steps, counts = _regions(energy, valid, e0, settings)
    width = int(counts.sum(-1).max()) if len(counts) else 0
    place = torch.arange(width, device=energy.device).expand(len(e0), -1)
    before = functional.pad(counts.cumsum(-1), (1, 0))
    region = (place.unsqueeze(-1) >= before[:, None, 1:]).sum(-1)
    inside = region < counts.shape[-1]
    region = region.clamp(max=counts.shape[-1] - 1)
    own = place - before.gather(-1, region)
    reached = starts.gather(-1, region) + own * steps.gather(-1, region)
    reached = torch.where(region == 2, above_edge_ev(reached), reached)
    at = e0.unsqueeze(-1) + reached
    last = (counts.sum(-1, keepdim=True) - 1).clamp(min=0)
    return torch.where(inside, at, at.gather(-1, last)), inside


def _regions(
    energy: Tensor, valid: Tensor, e0: Tensor, settings: Rebinning
) -> tuple[Tensor, Tensor, Tensor]:
    """Return start, step (eV, eV, 1/angstrom) and bins of the regions, `batch x 3`."""
    low = energy[:, 0] - e0
    high = gather(energy, (valid.sum(-1) - 1).clamp(min=0)) - e0

    def given(value: float | None, otherwise: Tensor) -> Tensor:
        return otherwise if value is None else torch.full_like(e0, value)

    pre_step, k_step = abs(settings.pre_step), abs(settings.exafs_kstep)
    automatic = _XANES_STEP_EV * (e0 / _XANES_PER_EV).trunc().clamp(min=1)
    xanes_step = given(settings.xanes_step, automatic).abs()
    pre1 = given(settings.pre1, pre_step * (low / pre_step).trunc()).maximum(low)
    pre2 = given(settings.pre2, e0).maximum(pre1 + pre_step).minimum(high)
    exafs1 = given(settings.exafs1, e0).maximum(pre2 + xanes_step).minimum(high)
    longest = exafs1 + k_step * _LEAST_K_STEPS
    exafs2 = given(settings.exafs2, high).maximum(longest).minimum(high)
    starts = torch.stack((pre1, pre2, wavenumber(exafs1.clamp(min=0))), -1)
    stops = torch.stack((pre2, exafs1, wavenumber(exafs2.clamp(min=0))), -1)
    steps = (torch.full_like(e0, pre_step), xanes_step, torch.full_like(e0, k_step))
    counts = (0.1 + (stops - starts).abs() / torch.stack(steps, -1)).long()
    return starts, (stops - starts) / counts.clamp(min=1), counts


def _segments(
    at: Tensor, inside: Tensor, energy: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the first point of every bin and the first behind it, `batch x bins`.

    Bins meet midway between the points at or below their energies, counted in points.
    """
    ascending = energy.masked_fill(~valid, torch.inf).contiguous()

    def below(wanted: Tensor) -> Tensor:
        index = torch.searchsorted(ascending, wanted.contiguous(), right=True) - 1
        return index.clamp(min=0)

    bounds = below(at)
    following = torch.cat((bounds[:, 1:], bounds[:, -1:]), -1)
    stop = (bounds + following + 1) // 2
    is_last = inside & ~functional.pad(inside, (0, 1))[:, 1:]
    stop = torch.where(is_last, valid.sum(-1, keepdim=True) - 1, stop)
    start = below(at[:, :1] - _FIRST_BIN_EV)
    first = torch.cat((start, stop[:, :-1]), -1)
    return first, torch.maximum(stop, first)


def _between(values: Tensor, first: Tensor, stop: Tensor) -> Tensor:
    """Return the sums of points from `first` up to `stop`, `batch x bins`."""
    running = functional.pad(values.cumsum(-1), (1, 0))
    return running.gather(-1, stop) - running.gather(-1, first)


def _sums(
    mu: Tensor, noise: Tensor, weight: Tensor | None, first: Tensor, stop: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the sums of μ and of its variance over the points of each bin."""
    variance = noise.square()
    if weight is not None:
        mu, variance = mu * weight, variance * weight.square()
    return _between(mu, first, stop), _between(variance, first, stop)


def beside(at: Tensor, energy: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Return the point left of each wanted energy, and the share of the one right of it.

    `batch x wanted`; beyond the data the nearest point is alone.
    """
    left, _ = segment(at, energy, valid)
    x0, x1 = energy.gather(-1, left), energy.gather(-1, left + 1)
    return left, ((at - x0) / (x1 - x0)).clamp(0, 1)


def mix(values: Tensor, left: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return the points at `left` times `low` and the ones right of them times `high`."""
    return low * values.gather(-1, left) + high * values.gather(-1, left + 1)
