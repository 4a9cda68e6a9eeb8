"""Merging repeats of one sample: weighted by their noise, without those that are unlike.

A scan is compared with the median of the others after what drifts without harm, a line
and a factor, is taken out. What then remains is its own noise, a shift of its energies,
or another spectrum; each is a reason of its own to leave it out.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.physics.noise.points import GAUSSIAN_MAD, local_noise
from xasnn_stream.physics.ragged import gather, interpolate
from xasnn_stream.physics.signals.flaws import edge_step
from xasnn_stream.physics.signals.rebin import beside, mix

USED, ABORTED, SHIFTED, NOISY, DIFFERENT = range(5)
REASONS = ("used", "aborted", "shifted", "noisy", "different")
"""Names of the codes: why a scan is not in the average."""

_LEAST_LEFT = 2
_COMPLETE = 0.9
"""Of the range that most scans have; a scan without it is aborted."""
_MAX_SHIFT_EV, _SHIFT_SIGMA = 0.5, 5.0
"""A third of a core hole's width; less is no harm, and less sure is no shift."""
_NOISY = 3.0
"""Times the others' noise; such a scan weighs a ninth and brings its flaws in full."""
_DIFFERENT_SIGMA, _DIFFERENT = 6.0, 1.5
"""Beyond the others' spread, and their typical distance, to be another spectrum."""
_SLOPE_EV = 0.5
_NO_VARIANCE = 1e-300
_MEDIAN_VARIANCE = 1.57
"""Variance of a median of Gaussian values over that of their mean."""


@dataclass(frozen=True, slots=True, eq=False)
class Merged:
    """The average of repeats and what became of each of them.

    `energy` (eV), `mu` and its standard deviation `noise` are `points`. `reason` (codes,
    see `REASONS`), `shift` (eV, against the others), `scale` (edge over the others') and
    `distance` (from the others, in its noise) are `scans`. `chi2` is the scatter of the
    used scans over what their noise predicts, squared; `chi2_of_noise` the same after
    each scan's line, factor and shift are taken out: what drifts is in the first only.
    """

    energy: Tensor
    mu: Tensor
    noise: Tensor
    reason: Tensor
    shift: Tensor
    scale: Tensor
    distance: Tensor
    chi2: Tensor
    chi2_of_noise: Tensor


def merge(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor,
    e0: Tensor,
    noise: Tensor | None = None,
    max_shift_ev: float = _MAX_SHIFT_EV,
) -> Merged:
    """Average repeats of one sample on the grid of the first complete one.

    Parameters
    ----------
    energy, mu, valid
        `scans x points`; energies in eV, strictly ascending, all finite. The result ends
        where the first of the scans that are used ends.
    e0
        Edge energies, `scans`, eV.
    noise
        Standard deviation of every point, `scans x points`; without it that of the points
        around it, from the spectrum itself.
    max_shift_ev
        Shifts beyond it are a reason to leave a scan out.

    At least two scans stay; of two that disagree both do, and `chi2` says so.
    """
    kind, mu = mu.dtype, mu.double()
    given = local_noise(energy, mu, valid, e0) if noise is None else noise.double()
    complete = _complete(energy, valid)
    reason = torch.where(complete, USED, ABORTED)
    grid = _grid(energy, valid, complete)
    curves, sigma = _on_grid(grid, energy, mu, given, valid)
    if noise is None:
        sigma = _pooled(sigma, complete)
    centre = e0[complete].median()
    step = edge_step(energy, mu, valid, e0)[complete].median()
    scans = _Scans(grid, curves, sigma, centre, step)
    while True:
        apart = _compare(scans, reason == USED)
        worst, why = _worst(apart, reason == USED, max_shift_ev)
        if worst is None:
            break
        reason[worst] = why
    return _average(scans, apart, reason, kind)


@dataclass(frozen=True, slots=True, eq=False)
class _Scans:
    """Curves on one grid (`points`), with their noise, `scans x points`.

    `e0` (eV) and `step` (of the edge) are typical ones of all.
    """

    grid: Tensor
    curves: Tensor
    sigma: Tensor
    e0: Tensor
    step: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Apart:
    """How scans differ from the others; `rest` is `scans x points`, the rest `scans`."""

    rest: Tensor
    shift: Tensor
    shift_std: Tensor
    scale: Tensor
    noise: Tensor
    distance: Tensor


def _complete(energy: Tensor, valid: Tensor) -> Tensor:
    """Return which scans reach as far as most do, `scans`."""
    count = valid.sum(-1)
    reach = gather(energy, (count - 1).clamp(min=0)) - energy[:, 0]
    found = (reach >= _COMPLETE * reach.median()) & (count > 1)
    return found if bool(found.any()) else torch.ones_like(found)


def _grid(energy: Tensor, valid: Tensor, complete: Tensor) -> Tensor:
    """Return the first complete scan's energies that all complete ones cover."""
    last = gather(energy, (valid.sum(-1) - 1).clamp(min=0))
    low, high = energy[complete, 0].max(), last[complete].min()
    first = int(complete.to(torch.uint8).argmax())
    grid = energy[first][valid[first]]
    return grid[(grid >= low) & (grid <= high)]


def _on_grid(
    grid: Tensor, energy: Tensor, mu: Tensor, noise: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor]:
    """Return curves and their noise on one grid, `scans x points`."""
    at = grid.expand(len(energy), -1).contiguous()
    left, share = beside(at, energy, valid)
    curves = mix(mu, left, 1 - share, share)
    variance = mix(noise.square(), left, (1 - share).square(), share.square())
    return curves, variance.sqrt()


def _pooled(sigma: Tensor, complete: Tensor) -> Tensor:
    """Return noise as a level of each scan times how noise changes along all of them.

    What a scan tells of its own noise at one place is uncertain by a fifth.
    """
    level = sigma.square().median(-1, keepdim=True).values.clamp(min=_NO_VARIANCE)
    along = (sigma.square() / level)[complete].mean(0)
    return (level * along).sqrt()


def _compare(scans: _Scans, used: Tensor) -> _Apart:
    """Compare every scan with the median of the used ones other than itself."""
    norm, sigma = scans.curves / scans.step, scans.sigma / scans.step
    others = _median_of_others(norm, used)
    slope = _slope(scans.grid, others)
    x = (scans.grid - scans.e0) / (scans.grid[-1] - scans.grid[0])
    line = torch.stack((torch.ones_like(x), x), -1).expand(len(norm), -1, -1)
    shape = others - others.mean(-1, keepdim=True)
    columns = torch.cat((line, shape.unsqueeze(-1), slope.unsqueeze(-1)), -1)
    typical = sigma.median(-1).values.clamp(min=1e-12)
    normal = columns.transpose(-1, -2) @ columns
    inverse = torch.linalg.pinv(normal, hermitian=True)
    found = (inverse @ (columns.transpose(-1, -2) @ norm.unsqueeze(-1))).squeeze(-1)
    rest = norm - (columns @ found.unsqueeze(-1)).squeeze(-1)
    count = used.sum() - used.long()
    of_others = _MEDIAN_VARIANCE * sigma[used].square().mean(0) / count.unsqueeze(-1)
    expected = (sigma.square() + of_others).sqrt()
    distance = (rest / expected.clamp(min=1e-12)).square().mean(-1).sqrt()
    std = typical * inverse[:, 3, 3].clamp(min=0).sqrt() * distance.clamp(min=1)
    # μ(E - s) ≈ μ(E) - s·dμ/dE: a scan that lags has a negative coefficient.
    return _Apart(rest, -found[:, 3], std, found[:, 2], typical, distance)


def _median_of_others(norm: Tensor, used: Tensor) -> Tensor:
    """Return the median of the used scans without the scan itself, `scans x points`."""
    many = norm[used]
    ascending = many.sort(0).values
    own = torch.searchsorted(ascending.T.contiguous(), norm.T.contiguous()).T
    left = len(many) - 1

    def without_own(rank: int) -> Tensor:
        index = rank + (own <= rank).long()
        return ascending.gather(0, index.clamp(max=left))

    if left == 0:
        return many.expand_as(norm)
    of_used = (without_own((left - 1) // 2) + without_own(left // 2)) / 2
    of_rest = (ascending[left // 2] + ascending[(left + 1) // 2]) / 2
    return torch.where(used.unsqueeze(-1), of_used, of_rest)


def _slope(grid: Tensor, curves: Tensor) -> Tensor:
    """Return dμ/dE over half an eV on either side, of which noise makes little."""
    at = grid.expand(len(curves), -1)
    everywhere = torch.ones_like(curves, dtype=torch.bool)
    low, high = (
        (at + side).clamp(grid[0], grid[-1]) for side in (-_SLOPE_EV, _SLOPE_EV)
    )
    rise = interpolate(high, at, curves, everywhere) - interpolate(
        low, at, curves, everywhere
    )
    return rise / (high - low)


def _worst(apart: _Apart, used: Tensor, max_shift_ev: float) -> tuple[int | None, int]:
    """Return the scan to leave out next and why, None if all belong together."""
    if int(used.sum()) <= _LEAST_LEFT:
        return None, USED
    shift = (apart.shift - apart.shift[used].median()).abs()
    shifted = torch.minimum(
        shift / max_shift_ev, shift / (_SHIFT_SIGMA * apart.shift_std)
    )
    noisy = apart.noise / (_NOISY * apart.noise[used].median())
    middle = apart.distance[used].median()
    spread = GAUSSIAN_MAD * (apart.distance[used] - middle).abs().median()
    different = torch.minimum(
        apart.distance / (middle + _DIFFERENT_SIGMA * spread),
        apart.distance / (_DIFFERENT * middle),
    )
    scores = torch.stack((shifted, noisy, different)).masked_fill(~used, 0.0)
    scan = int(scores.amax(0).argmax())
    why = scores[:, scan] > 1
    if not bool(why.any()):
        return None, USED
    # A shifted scan is another spectrum as well: the first reason is the plainest.
    return scan, (SHIFTED, NOISY, DIFFERENT)[int(why.to(torch.uint8).argmax())]


def _average(scans: _Scans, apart: _Apart, reason: Tensor, kind: torch.dtype) -> Merged:
    used, seen = reason == USED, reason != ABORTED
    curves, sigma = scans.curves[used], scans.sigma[used]
    weight = (
        sigma.square()
        .median(-1, keepdim=True)
        .values.clamp(min=_NO_VARIANCE)
        .reciprocal()
    )
    weight = weight / weight.sum(0)
    mean = (weight * curves).sum(0)
    noise = (weight * sigma).square().sum(0).sqrt()
    freedom = max(len(curves) - 1, 1)
    variance = sigma.square().clamp(min=_NO_VARIANCE)
    scatter = ((curves - mean).square() / variance).sum(0).mean()
    freedom = len(curves) - 1
    alone = mean.new_tensor(torch.nan)
    chi2 = scatter / freedom if freedom else alone
    of_noise = apart.distance[used].square().mean() if freedom else alone
    mean, noise = mean.to(kind), noise.to(kind)
    found = (apart.shift, apart.scale, apart.distance)
    shift, scale, distance = (torch.where(seen, each, torch.nan) for each in found)
    return Merged(
        scans.grid, mean, noise, reason, shift, scale, distance, chi2, of_noise
    )
